// The three ways in which a query does not give a value.

/** The query is refused. `at` is the token (or anything with line and column) that is at fault. */
export class Refused extends Error {
    constructor(at, message) {
        super(message);
        this.line = at.line;
        this.column = at.column;
    }
}

/** An expression has no value for this row. */
export class Failed extends Error {}

/** A message or event that is not what it has to be. */
export class Unreadable extends Error {}
