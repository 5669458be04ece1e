/* run.c - a job's thread: takes messages, feeds the stream, publishes the rows, writes checkpoints. */
#include "job/job_private.h"

#include "base/log.h"
#include "base/mem.h"
#include "message/message.h"
#include "mqtt/packet.h"

#include <stdio.h>
#include <time.h>

enum {
    BATCH = 256,                 /* messages at once                                                  */
    CHECKPOINT_MESSAGES = 20000, /* a crash has so many to read again                                 */
    CHECKPOINT_US = 10 * 1000000,
    CHECKPOINT_SHARE = 50, /* at most a fiftieth of the time goes into them                     */
    CLOCK_US = 1000000,    /* how often a job is looked at for what is due by the time          */
    LOOK_US = 1000000,     /* how often files of reference data are looked at                   */
    RETRY_MS = 500,
    LAST_MS = 1000,        /* how long the last checkpoint waits for the one before it                  */
    TROUBLE_US = 60 * 1000000,
    REFERENCE_BYTES_MAX = 256 << 20
};

/* ---- what comes out of the stream ---- */

static bool word_room(struct job *j)
{
    if (j->word_count < j->word_cap)
        return true;
    size_t cap = j->word_cap ? j->word_cap * 2 : 64;
    struct consumer_word *words = mem_realloc(j->words, cap * sizeof *words);
    if (!words)
        return false;
    j->words = words;
    j->word_cap = cap;
    return true;
}

static void on_row(void *ctx, const struct stream_row *row)
{
    /* clang-format off */
    static const uint8_t props[] = { MQTT_PROP_PAYLOAD_FORMAT, 1, MQTT_PROP_CONTENT_TYPE, 0, 16,
                                     'a', 'p', 'p', 'l', 'i', 'c', 'a', 't', 'i', 'o', 'n', '/', 'j', 's', 'o', 'n' };
    /* clang-format on */
    struct job *j = ctx;
    const struct io *io = j->jobs->io;
    if (j->plan->files[row->output]) {
        j->nomem = !files_add(j, row->output, row->json) || j->nomem;
        return;
    }
    if (!word_room(j)) {
        j->nomem = true;
        return;
    }
    struct message *m = message_new(&(struct message_parts){.qos = 1,
                                                            .text = true,
                                                            .wall_us = io->wall_us(io->self),
                                                            .now_us = io->monotonic_us(io->self),
                                                            .topic = j->plan->targets[row->output],
                                                            .principal = bytes_str("node"),
                                                            .source = bytes_str(j->plan->name),
                                                            .props = bytes_of(props, sizeof props),
                                                            .payload = row->json});
    if (!m) {
        j->nomem = true;
        return;
    }
    j->words[j->word_count++] = (struct consumer_word){.message = m, .ordinal = ++j->ordinal};
}

/* The first of a kind at once, the others summed up once a minute. */
static void on_trouble(void *ctx, const char *name, const char *sentence)
{
    struct job *j = ctx;
    int64_t now = j->jobs->io->monotonic_us(j->jobs->io->self);
    size_t i = 0;
    while (i < TROUBLES_MAX && j->troubles[i].name && strcmp(j->troubles[i].name, name) != 0)
        i++;
    if (i == TROUBLES_MAX)
        return;
    bool first = !j->troubles[i].name;
    j->troubles[i].name = name;
    j->troubles[i].count++;
    if (!first && now - j->troubles[i].told_us < TROUBLE_US)
        return;
    char said[256], more[64] = "";
    if (j->troubles[i].count > 1)
        (void)snprintf(more, sizeof more, " (%llu since the last time this was said)",
                       (unsigned long long)j->troubles[i].count);
    log_warn("job", "FG6122 job %s: %s: %s%s", j->plan->name, name,
             bytes_escape(bytes_str(sentence), said, sizeof said), more);
    j->troubles[i].count = 0;
    j->troubles[i].told_us = now;
}

const struct stream_sink job_sink = {NULL, on_row, on_trouble};

static void forget_words(struct job *j, size_t from)
{
    for (size_t i = from; i < j->word_count; i++)
        message_drop(j->words[i].message);
    j->word_count = from;
}

/* ---- states ---- */

static void enter(struct job *j, enum job_state state, const struct fault *why)
{
    if (j->state == state)
        return;
    j->state = state;
    consumer_set_high(j->consumer, state == JOB_PAUSED || state == JOB_STOPPED ? 0 : JOB_HIGH);
    if (why)
        j->why = *why;
    else
        j->why.text[0] = 0;
    switch (state) {
    case JOB_RUNNING: log_info("job", "FG6123 job %s goes on", j->plan->name); break;
    case JOB_BLOCKED:
        log_warn("job", "FG6124 job %s waits: what it has to say is refused: %s. It is tried again",
                 j->plan->name, why->text);
        break;
    case JOB_PAUSED:
        log_error("job", "FG6125 job %s pauses, and what comes for it waits: %s", j->plan->name, why->text);
        break;
    case JOB_STOPPED:
        log_error("job", "FG6126 job %s has stopped, and what comes for it waits: %s", j->plan->name,
                  why->text);
        break;
    }
}

/* ---- waiting ---- */

void job_lock(struct job *j)
{
    pthread_mutex_lock(&j->turnstile);
    pthread_mutex_lock(&j->lock);
    pthread_mutex_unlock(&j->turnstile);
}

void job_unlock(struct job *j)
{
    pthread_mutex_unlock(&j->lock);
}

void job_wake(void *ctx)
{
    struct job *j = ctx;
    pthread_mutex_lock(&j->sleep_lock);
    j->due = true;
    (void)pthread_cond_signal(&j->wake);
    pthread_mutex_unlock(&j->sleep_lock);
}

static bool stopping(struct job *j)
{
    pthread_mutex_lock(&j->sleep_lock);
    bool stop = j->stop;
    pthread_mutex_unlock(&j->sleep_lock);
    return stop;
}

/* Until the time is over, or it is to stop, or something is due (if those may wake it). */
enum wakes { WAKES_NEVER, WAKES_TO_STOP, WAKES_WHEN_DUE };
static void sleep_for(struct job *j, int ms, enum wakes by)
{
    int64_t end = j->jobs->io->monotonic_us(j->jobs->io->self) + (int64_t)ms * 1000;
    struct timespec until = {.tv_sec = end / 1000000, .tv_nsec = end % 1000000 * 1000};
    pthread_mutex_lock(&j->sleep_lock);
    while (!(by >= WAKES_TO_STOP && j->stop) && !(by == WAKES_WHEN_DUE && j->due) &&
           pthread_cond_timedwait(&j->wake, &j->sleep_lock, &until) == 0)
        ;
    if (by == WAKES_WHEN_DUE)
        j->due = false;
    pthread_mutex_unlock(&j->sleep_lock);
}

void job_pause(struct job *j, int ms)
{
    sleep_for(j, ms, WAKES_NEVER);
}

/* ---- publishing ---- */

/* It is in the log, or never can be. */
static bool passed(struct job *j, const struct consumer_word *w)
{
    if (w->result == MQTT_PACKET_TOO_LARGE)
        on_trouble(j, "RowTooLarge", "a row is larger than journal.segment-bytes allows, and is dropped");
    return w->result == 0 || w->result == MQTT_PACKET_TOO_LARGE;
}

/* Everything that the batch had to say, or false: the node stops before it could. */
static bool publish(struct job *j)
{
    size_t done = 0;
    while (done < j->word_count) {
        struct fault why;
        enum code c = consumer_publish(j->consumer, j->words + done, j->word_count - done, &why);
        while (done < j->word_count && (c == CODE_OK || c == CODE_FULL) && passed(j, &j->words[done]))
            message_drop(j->words[done++].message);
        if (done == j->word_count)
            break;
        enter(j, JOB_BLOCKED, &why);
        if (stopping(j)) {
            forget_words(j, done); /* they are made again from the checkpoint */
            return false;
        }
        job_unlock(j); /* status may look meanwhile */
        sleep_for(j, RETRY_MS, WAKES_TO_STOP);
        job_lock(j);
    }
    j->word_count = 0;
    for (struct fault why; files_write(j, &why) != CODE_OK;) {
        enter(j, JOB_BLOCKED, &why);
        if (stopping(j))
            return false;
        job_unlock(j);
        sleep_for(j, RETRY_MS, WAKES_TO_STOP);
        job_lock(j);
    }
    if (j->state == JOB_BLOCKED)
        enter(j, JOB_RUNNING, NULL);
    return true;
}

/* ---- feeding ---- */

static int64_t ticks_of(int64_t wall_us)
{
    return DATETIME_UNIX + wall_us * 10;
}

static bool property(void *ctx, struct bytes name, struct bytes *value)
{
    const struct message *m = ctx;
    struct mqtt_props props = {.raw = m->props};
    struct bytes key;
    name = stream_user_property(name);
    for (size_t cursor = 0; mqtt_user_prop(&props, &cursor, &key, value);)
        if (bytes_equal(key, name))
            return true;
    return false;
}

/* CODE_OK, CODE_LIMIT (not taken in), CODE_MALFORMED (the job stops), CODE_NOMEM. */
static enum code feed(struct job *j, const struct consumer_item *item, struct fault *why)
{
    uint32_t fed = 0;
    enum code c = CODE_OK;
    struct message *m = item->message;
    if (!m)
        return CODE_OK; /* lost to damage */
    for (uint32_t n = 0; c == CODE_OK && n < item->number_count; n++) {
        if (item->numbers[n] == CLOCK_NUMBER)
            c = stream_clock(j->stream, ticks_of(m->wall_us), why);
        for (size_t w = 0; c == CODE_OK && w < j->plan->way_count; w++) {
            const struct way *way = &j->plan->ways[w];
            if (way->number != item->numbers[n] || (fed & 1u << way->input))
                continue;
            fed |= 1u << way->input;
            struct stream_message in = {.input = way->input,
                                        .body = m->payload,
                                        .padded = true,
                                        .arrival = ticks_of(m->wall_us),
                                        .source = m->source,
                                        .topic = m->topic,
                                        .property = property,
                                        .ctx = m};
            c = stream_feed(j->stream, &in, why);
        }
    }
    return c;
}

/* Feeds what was taken. How many were taken in; what the one behind them has left of itself is the state of no place. */
static size_t feed_all(struct job *j, const struct consumer_item *items, size_t n, enum code *c,
                       struct fault *why)
{
    size_t i = 0;
    *c = CODE_OK;
    for (; i < n; i++) {
        size_t words = j->word_count;
        uint64_t ordinal = j->ordinal;
        *c = feed(j, &items[i], why);
        if (j->nomem)
            *c = FAIL(why, CODE_NOMEM, 0, "no memory for a row");
        if (*c == CODE_OK) {
            files_keep(j);
            j->reached_us = items[i].message ? items[i].message->wall_us : j->reached_us;
            continue;
        }
        j->astray = true;
        files_forget(j);
        forget_words(j, words);
        j->ordinal = ordinal;
        break;
    }
    return i;
}

/* To the last checkpoint, whose words come again. False: not now. */
static bool go_back(struct job *j)
{
    struct fault why;
    j->nomem = false;
    j->since = 0;
    stream_free(j->stream);
    j->stream = NULL;
    enum code c = stream_new(&j->stream, j->plan->query, &(struct stream_sink){j, on_row, on_trouble}, &why);
    if (c == CODE_OK)
        c = checkpoint_read(j, &why);
    for (uint32_t i = 0; i < query_references(j->plan->query); i++)
        j->references[i] = (struct reference_seen){0};
    j->astray = c != CODE_OK;
    if (c != CODE_OK)
        enter(j, JOB_BLOCKED, &why);
    return c == CODE_OK;
}

/* One batch. False: there was nothing, or it can not go on now. */
static bool batch(struct job *j)
{
    struct consumer_item items[BATCH];
    struct fault why;
    size_t n = 0;
    enum code c = consumer_take(j->consumer, j->position, items, BATCH, &n, &why);
    if (c != CODE_OK)
        enter(j, JOB_BLOCKED, &why);
    else if (n == 0 && j->state == JOB_BLOCKED)
        enter(j, JOB_RUNNING, NULL);
    if (n == 0)
        return false;
    size_t done = feed_all(j, items, n, &c, &why);
    uint64_t next = done ? items[done - 1].index + 1 : j->position;
    for (size_t i = 0; i < n; i++)
        message_drop(items[i].message);
    if (!publish(j)) {
        j->astray = true;
        return false;
    }
    j->position = next;
    j->since += done;
    if (c != CODE_OK)
        enter(j, c == CODE_LIMIT ? JOB_PAUSED : c == CODE_MALFORMED ? JOB_STOPPED : JOB_BLOCKED, &why);
    return done == n;
}

/* ---- the time ---- */

/* A watermark may follow the clock while nothing comes. What it is told is a message in its queue, so that it is told the same
 * after a crash; told only when something is due by it, or open when the clock was set back, as each is written to the disk. */
static void tell_time(struct job *j, int64_t now)
{
    struct fault why;
    const struct io *io = j->jobs->io;
    if (now - j->clock_us < CLOCK_US)
        return;
    j->clock_us = now;
    int64_t wall_us = io->wall_us(io->self);
    if (stream_due(j->stream) > ticks_of(wall_us) && !stream_set_back(j->stream, ticks_of(wall_us)))
        return;
    struct message *m = message_new(&(struct message_parts){.qos = 1, .wall_us = wall_us, .now_us = now});
    struct consumer_word w = {.message = m, .to = j->consumer, .number = CLOCK_NUMBER};
    if (m && consumer_publish(j->consumer, &w, 1, &why) != CODE_OK)
        log_debug("job", "job %s could not be told the time: %s", j->plan->name, why.text);
    message_drop(m);
}

/* ---- reference data ---- */

static enum code load_reference(struct job *j, uint32_t i, const struct io_stat *st, struct fault *why)
{
    const char *path = j->plan->reference_files[i];
    size_t n = strlen(path), len;
    bool csv = n > 4 && strcmp(path + n - 4, ".csv") == 0;
    char *text;
    enum code c = io_load(j->jobs->io, path, REFERENCE_BYTES_MAX, &text, &len, why);
    if (c != CODE_OK)
        return c;
    c = stream_reference(j->stream, i, csv ? STREAM_CSV : STREAM_JSON, bytes_of(text, len), why);
    mem_free(text);
    if (c == CODE_OK)
        j->references[i] = (struct reference_seen){st->size, st->inode, st->mtime_ns, .loaded = true};
    return c;
}

/* True: something was read. */
static bool look_at_references(struct job *j)
{
    const struct io *io = j->jobs->io;
    bool any = false;
    if (j->ordinal < consumer_published(j->consumer))
        return false; /* what it has said before a crash it says again, of the data of then */
    for (uint32_t i = 0; i < query_references(j->plan->query); i++) {
        struct reference_seen *seen = &j->references[i];
        const char *path = j->plan->reference_files[i];
        struct io_stat st;
        struct fault why;
        int e = io->stat(io->self, path, &st);
        if (e >= 0 && seen->loaded && st.size == seen->size && st.inode == seen->inode &&
            st.mtime_ns == seen->mtime_ns)
            continue;
        enum code c = e < 0 ? FAIL_SYS(&why, CODE_IO, -e, "it cannot be looked at")
                            : load_reference(j, i, &st, &why);
        any = any || c == CODE_OK;
        if (c == CODE_OK)
            log_info("job", "FG6127 job %s: reference data read from %s", j->plan->name, path);
        else if (!seen->told)
            log_error("job", "FG6128 job %s: reference data %s: %s; what was there before holds",
                      j->plan->name, path, why.text);
        seen->told = c != CODE_OK;
    }
    return any;
}

/* ---- the thread ---- */

uint64_t job_lag(struct job *j)
{
    uint64_t head = consumer_head(j->consumer), waiting = consumer_waiting(j->consumer);
    uint64_t read = j->position > head ? j->position - head : 0;
    return waiting > read ? waiting - read : 0;
}

static void show(struct job *j)
{
    struct stream_stats s = {0};
    if (j->stream)
        stream_stats(j->stream, &s);
    atomic_store(&j->shown.state, (int)j->state);
    atomic_store(&j->shown.lag, job_lag(j));
    atomic_store(&j->shown.events, s.events);
    atomic_store(&j->shown.rows, s.rows);
    atomic_store(&j->shown.state_bytes, s.state_bytes);
    atomic_store(&j->shown.dropped, s.malformed + s.no_timestamp + s.no_over_value + s.late + s.early +
                                        s.out_of_order + s.wrong_type);
}

static bool checkpoint_due(const struct job *j, int64_t now)
{
    if (j->since >= JOB_HIGH / 2) /* or publishers would wait for it, and not for the job */
        return true;
    if (!j->since || now - j->checkpoint_us < j->checkpoint_cost_us * CHECKPOINT_SHARE)
        return false;
    return j->since >= CHECKPOINT_MESSAGES || now - j->checkpoint_us >= CHECKPOINT_US;
}

static enum code checkpoint(struct job *j, struct fault *why)
{
    enum code c = checkpoint_write(j, why);
    int64_t now = j->jobs->io->monotonic_us(j->jobs->io->self);
    if (c == CODE_OK)
        return c;
    j->checkpoint_us = now - CHECKPOINT_US + 1000000; /* again in a second */
    if (c == CODE_AGAIN || (j->warned_us && now - j->warned_us < TROUBLE_US))
        return c;
    j->warned_us = now;
    log_warn("job", "FG6129 job %s: no checkpoint, a crash now costs it time: %s", j->plan->name, why->text);
    return c;
}

/* True: the state is one that only messages have made, or a checkpoint has it. */
static bool settled(struct job *j)
{
    struct fault why;
    if (!j->settle)
        return true;
    enum code c = checkpoint(j, &why);
    if (c != CODE_OK && c != CODE_AGAIN)
        enter(j, JOB_BLOCKED, &why);
    return c == CODE_OK;
}

static void turn(struct job *j, int64_t *looked_us, bool *more)
{
    const struct io *io = j->jobs->io;
    int64_t now = io->monotonic_us(io->self);
    struct fault why;
    *more = false;
    if (j->state == JOB_STOPPED || j->state == JOB_PAUSED || (j->astray && !go_back(j)))
        return;
    if (now - *looked_us >= LOOK_US) {
        *looked_us = now;
        j->settle = look_at_references(j) || j->settle;
        checkpoint_tidy(j);
    }
    if (!settled(j))
        return;
    *more = batch(j);
    if (!*more && j->state == JOB_RUNNING)
        tell_time(j, now);
    if (!j->astray && checkpoint_due(j, now))
        (void)checkpoint(j, &why);
}

/* The last one, when it stops: what was read since the one before is not read again, also if the query is another then. */
static void last_checkpoint(struct job *j)
{
    struct fault why;
    enum code c = CODE_AGAIN;
    if (j->astray || !(j->since || j->settle))
        return;
    for (int ms = 0; c == CODE_AGAIN && ms < LAST_MS; ms += 10) {
        c = checkpoint_write(j, &why);
        if (c == CODE_AGAIN)
            sleep_for(j, 10, WAKES_NEVER);
    }
    if (c != CODE_OK)
        log_warn("job", "FG6129 job %s: no last checkpoint, it reads again what came since the one before: %s",
                 j->plan->name, why.text);
}

void *job_run(void *ctx)
{
    struct job *j = ctx;
    int64_t looked_us = INT64_MIN / 2;
    while (!stopping(j)) {
        bool more;
        job_lock(j);
        turn(j, &looked_us, &more);
        show(j);
        job_unlock(j);
        if (!more)
            sleep_for(j, j->state == JOB_RUNNING ? 1000 : RETRY_MS,
                      j->state == JOB_RUNNING ? WAKES_WHEN_DUE : WAKES_TO_STOP);
    }
    job_lock(j);
    last_checkpoint(j);
    job_unlock(j);
    return NULL;
}
