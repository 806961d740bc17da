// Server-sent events (rest-v1.md 4.8, 4.13): order, ids, reconnects, the end.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { after, before, test } from 'node:test';
import { Appliance, Keygen, User, newId } from './lib/keymeld.mjs';
import { startFleet } from './lib/fleet.mjs';

let fleet, appliance;
before(async () => {
  fleet = await startFleet({ limits: { event_streams_per_client: 3 } });
  appliance = new Appliance(fleet.url);
});
after(async () => {
  appliance?.close();
  await fleet?.stop();
});

// Opens a stream; resolves to {status, next(), closed}.
function open(path, headers) {
  return new Promise((resolve, reject) => {
    const request = http.get({ host: appliance.url.hostname, port: appliance.url.port, path: `/api/v1${path}`, headers }, (response) => {
      const events = [];
      const waiting = [];
      let text = '';
      const closed = new Promise((done) => response.on('close', done));
      response.on('data', (part) => {
        text += part;
        for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) {
          const block = text.slice(0, end).split('\n').filter((line) => line && !line.startsWith(':'));
          if (block.length === 0) continue;
          const event = Object.fromEntries(block.map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]));
          const one = { id: event.id, event: event.event, data: JSON.parse(event.data) };
          if (waiting.length) waiting.shift()(one); else events.push(one);
        }
      });
      resolve({
        status: response.statusCode, type: response.headers['content-type'], closed,
        next: () => events.length ? Promise.resolve(events.shift()) : new Promise((done) => waiting.push(done)),
        end: () => request.destroy(),
      });
    });
    request.on('error', reject);
  });
}

test('a keygen session, from its first event to its last', async () => {
  const session = new Keygen(appliance, [new User(), new User()]);
  await session.create();
  const stream = await open(`/keygen/${session.id}/events`, session.header());
  assert.equal(stream.status, 200);
  assert.match(stream.type, /^text\/event-stream/);
  const first = await stream.next();
  assert.equal(first.event, 'status');
  assert.match(first.id, /^\d+$/);
  assert.equal(first.data.registered_participants, 0);
  const slots = await session.slots();
  for (const user of session.users) await session.register(user, undefined, slots);
  let last = first;
  while (last.data.status !== 'completed') {
    const event = await stream.next();
    assert.ok(BigInt(event.id) > BigInt(last.id), 'ids rise');
    last = event;
  }
  assert.equal(last.data.aggregate_public_key.length, 33);
  await stream.closed;
  // what the client has already is not sent again: 204 after the terminal event
  const again = await open(`/keygen/${session.id}/events`, { ...session.header(), 'Last-Event-ID': last.id });
  assert.equal(again.status, 204);
  // an older or malformed id gets the current state
  for (const id of [first.id, 'x']) {
    const late = await open(`/keygen/${session.id}/events`, { ...session.header(), 'Last-Event-ID': id });
    assert.equal(late.status, 200);
    let event;
    do { event = await late.next(); } while (event.data.status !== 'completed');
    await late.closed;
  }
});

test('a signing session that waits for an approval; ids survive a restart of the appliance', async () => {
  const session = new Keygen(appliance, [new User(), new User()]);
  await session.complete(['header', 'none']);
  const id = newId();
  const message = randomBytes(32);
  await session.sign(message, id);
  const header = (user) => ({ 'X-Signing-HMAC': user.signingHeader() });
  const stream = await open(`/signing/${id}/events`, header(session.users[1]));
  const first = await stream.next();
  assert.equal(first.data.status, 'collecting_participants');
  await fleet.tell('kill-appliance');
  await stream.closed;
  await fleet.tell('start-appliance');
  const resumed = await open(`/signing/${id}/events`, { ...header(session.users[1]), 'Last-Event-ID': first.id });
  assert.equal(resumed.status, 200);
  assert.equal((await session.approve(id, session.users[0])).status, 200);
  let event;
  do {
    event = await resumed.next();
    assert.ok(BigInt(event.id) > BigInt(first.id));
  } while (event.data.status !== 'completed');
  await resumed.closed;
  assert.equal((await session.finish(id, message)).status, 'completed');
});

test('who may listen, and how many', async () => {
  const session = new Keygen(appliance, [new User(), new User()]);
  await session.create();
  assert.equal((await open(`/keygen/${session.id}/events`, {})).status, 401);
  const header = session.header();
  const streams = [await open(`/keygen/${session.id}/events`, header)];
  assert.equal((await open(`/keygen/${session.id}/events`, header)).status, 403); // its nonce is used
  for (let i = 0; i < 2; ++i) streams.push(await open(`/keygen/${session.id}/events`, session.header()));
  assert.deepEqual(streams.map((s) => s.status), [200, 200, 200]);
  assert.equal((await open(`/keygen/${session.id}/events`, session.header())).status, 429);
  for (const stream of streams) stream.end();
});
