// `fieldgate demo m2m` is an acceptance test: it must be able to fail, and its exit status must say so.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";

const binary = process.env.FIELDGATE ?? "build/fieldgate";

const demo = (t, ...args) => run(t, "m2m", ...args);

function run(t, ...args) {
  const temp = mkdtempSync(join(tmpdir(), "fg-demo-"));
  t.after(() => rmSync(temp, { recursive: true, force: true }));
  return new Promise((resolve, reject) => {
    const child = spawn(binary, ["demo", ...args], { env: { ...process.env, TMPDIR: temp } });
    let out = "", err = "";
    child.stdout.on("data", (b) => (out += b));
    child.stderr.on("data", (b) => (err += b));
    const late = setTimeout(() => child.kill("SIGKILL"), 60_000);
    child.on("error", reject);
    child.on("close", (status, signal) => {
      clearTimeout(late);
      resolve({ status, signal, out, err, left: readdirSync(temp) });
    });
    t.child = child;
  });
}

const VERDICT =
  /^m2m ok: (\d+) sent, \1 delivered, \1 stored, 0 lost; reaction p50 \d+\.\d ms, p99 \d+\.\d ms\. By hand: fieldgate help m2m$/m;
const FOUND = /^anomaly ok: 3 of 3 planted spikes found, 0 false, 0 after restart; stopped 3 times, slowest [\d.]+ ms after the reading\. /m;

// Each has a node and ports of its own and waits for its clock: four at a time.
describe("demo", { concurrency: 4 }, () => {
  test("the demo happens, says so and leaves nothing behind", { timeout: 90_000 }, async (t) => {
    const r = await demo(t, "--for", "4s");
    assert.equal(r.status, 0, r.out + r.err);
    assert.match(r.out, VERDICT);
    assert.match(r.out, /^\d\d:\d\d:\d\d  press-1 +sent +factory\/line1\/press-1\/telemetry \{"temperature":[\d.]+,"humidity":\d+\}$/m);
    assert.match(r.out, /^\d\d:\d\d:\d\d  cooler-1 +received +[\d.]+ ms later$/m);
    assert.match(r.out, /^\d\d:\d\d:\d\d  cooler-1 +reacted +fan on, [\d.]+ ms after the reading$/m);
    assert.match(r.out, /^\d\d:\d\d:\d\d  hub +stored +partition \d offset \d+$/m);
    assert.deepEqual(r.left, []);
  });

  test("Ctrl-C ends it with the verdict", { timeout: 90_000 }, async (t) => {
    const done = demo(t);
    await new Promise((r) => setTimeout(r, 4000));
    t.child.kill("SIGINT");
    const r = await done;
    assert.equal(r.status, 0, r.out + r.err);
    assert.match(r.out, VERDICT);
    assert.deepEqual(r.left, []);
  });

  test("a machine that does not react fails it", { timeout: 90_000 }, async (t) => {
    const r = await demo(t, "--for", "4s", "--fan-at", "1000");
    assert.equal(r.status, 1, r.out + r.err);
    assert.match(r.out, /^m2m failed: .*hot readings got no reaction/m);
    assert.deepEqual(r.left, []);
  });

  test("a hub that does not store fails it", { timeout: 90_000 }, async (t) => {
    const r = await demo(t, "--for", "4s", "--store", "elsewhere/#");
    assert.equal(r.status, 1, r.out + r.err);
    assert.match(r.out, /^m2m failed: (\d+) sent, \1 delivered, 0 stored, \1 lost;/m);
    assert.deepEqual(r.left, []);
  });

  test("a demo too short for a reaction does not call itself a success", { timeout: 90_000 }, async (t) => {
    const r = await demo(t, "--for", "300ms");
    assert.equal(r.status, 1, r.out + r.err);
    assert.match(r.out, /^m2m failed: .*before a hot reading came/m);
  });

  test("demos that start at the same moment get a port each", { timeout: 90_000 }, async (t) => {
    for (const r of await Promise.all([1, 2, 3, 4].map(() => demo(t, "--for", "300ms")))) {
      assert.match(r.out, /^ {2}mqtt 127\.0\.0\.1:\d+ /m, r.err);
      assert.doesNotMatch(r.err, /did not start/);
    }
  });

  test("what it does not know is wrong usage", { timeout: 30_000 }, async (t) => {
    const r = await demo(t, "--for", "soon");
    assert.equal(r.status, 2);
    assert.match(r.err, /--for/);
  });

  test("anomaly: what is planted is found, the machine is stopped, and a pause brings no false alarm", { timeout: 90_000 }, async (t) => {
    const r = await run(t, "anomaly");
    assert.equal(r.status, 0, r.out + r.err);
    assert.match(r.out, FOUND);
    assert.match(r.out, /anomaly +press-1 Humidity 25\.0 \(expected 18\.0\.\.18\.0\)  score [\d.e-]+$/m);
    assert.match(r.out, /opcua +opc\.tcp:\/\/127\.0\.0\.1:\d+ connected, signed and encrypted, 2 nodes \(Temperature, Humidity\)$/m);
    assert.match(r.out, /action +press-1 stopped: OPC UA write ns=2;s=Run=false, [\d.]+ ms after the reading$/m);
    assert.match(r.out, /restart +Fieldgate was away for 131 s of machine time/m);
    assert.deepEqual(r.left, []);
  });

  for (const [what, args] of [
    ["spikes that are none", ["--spike", "18"]],
    ["a confidence that nothing reaches", ["--confidence", "100"]],
    ["a pause shorter than the window", ["--pause", "5s"]],
  ])
    test(`anomaly: ${what}: it fails`, { timeout: 90_000 }, async (t) => {
      const r = await run(t, "anomaly", ...args);
      assert.equal(r.status, 1, r.out + r.err);
      assert.match(r.out, /^anomaly failed: /m);
      assert.deepEqual(r.left, []);
    });
});
