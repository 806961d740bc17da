// Every refusal that rest-v1.md names, through real HTTP against a real appliance and real enclaves; and that a refused request leaves no trace.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { Appliance, Keygen, User, ecies, hex, newId, numbers, sealData, sessionHeader } from './lib/keymeld.mjs';
import { startFleet } from './lib/fleet.mjs';

let fleet, appliance;
before(async () => {
  fleet = await startFleet();
  appliance = new Appliance(fleet.url);
});
after(async () => {
  appliance?.close();
  await fleet?.stop();
});

const users = (n) => Array.from({ length: n }, () => new User());
const keygen = (n = 2, options) => new Keygen(appliance, users(n), options);
const now = () => Math.floor(Date.now() / 1000);

// The error body of 2.5, with everything that must be in it.
function refused(response, status, type, details = {}) {
  assert.equal(response.status, status, `${response.status} ${response.text}`);
  assert.match(response.headers['content-type'], /^application\/json/);
  const { error, timestamp } = response.json;
  assert.equal(error.code, status);
  assert.equal(error.type, type, response.text);
  assert.equal(typeof error.message, 'string');
  assert.ok(error.message.length > 0);
  assert.equal(error.retryable, [429, 503].includes(status));
  assert.equal(typeof error.details, 'object');
  assert.match(timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
  for (const [name, value] of Object.entries(details)) assert.deepEqual(error.details[name], value, response.text);
}
const accepted = (response) => {
  assert.equal(response.status, 200, response.text);
  return response.json;
};

describe('routes, methods, media types, bodies', () => {
  test('unknown route', async () => refused(await appliance.get('/nothing'), 404, 'route_not_found'));
  test('known route, other method', async () => {
    const response = await appliance.raw('PUT', '/keygen', { body: '{}', headers: { 'Content-Type': 'application/json' } });
    refused(response, 405, 'method_not_allowed');
    assert.match(response.headers.allow, /POST/);
  });
  test('a body without or with another media type', async () => {
    refused(await appliance.raw('POST', '/keygen', { body: '{}' }), 415, 'unsupported_media_type');
    refused(await appliance.raw('POST', '/keygen', { body: '{}', headers: { 'Content-Type': 'text/plain' } }), 415, 'unsupported_media_type');
  });
  test('application/*+json and a charset are accepted', async () => {
    for (const type of ['application/json; charset=utf-8', 'application/vnd.keymeld+json'])
      refused(await appliance.raw('POST', '/keygen', { body: '{}', headers: { 'Content-Type': type } }), 400, 'validation_failed');
  });
  test('a body larger than max_body_bytes', async () => {
    const body = JSON.stringify({ padding: 'x'.repeat(3 << 20) });
    refused(await appliance.raw('POST', '/keygen', { body, headers: { 'Content-Type': 'application/json' } }), 413, 'body_too_large');
  });
  test('not JSON', async () => {
    for (const body of ['', '{', '[1,]', '{"a":1}x', '{"a":1,"a":2}', '\u0000', '{"a":\u0001}'])
      refused(await appliance.raw('POST', '/keygen', { body, headers: { 'Content-Type': 'application/json' } }), 400, 'malformed_json');
  });
  test('path ids are checked before everything else', async () => {
    refused(await appliance.get('/keygen/not-a-uuid/status'), 400, 'validation_failed', {});
    refused(await appliance.get('/enclaves/x/public-key'), 400, 'validation_failed');
  });
});

describe('POST /keygen', () => {
  const broken = (name, change, pointer) => test(`field rule: ${name}`, async () => {
    const body = await keygen(3).createBody();
    change(body);
    const response = await appliance.post('/keygen', body);
    refused(response, 400, 'validation_failed', { pointer });
  });
  broken('id is no UUID', (b) => { b.keygen_session_id = 'x'; }, '/keygen_session_id');
  broken('id is missing', (b) => { delete b.keygen_session_id; }, '/keygen_session_id');
  broken('public key of 32 bytes', (b) => { b.coordinator_pubkey.pop(); }, '/coordinator_pubkey');
  broken('public key not on the curve', (b) => { b.coordinator_pubkey = [2, ...Array(32).fill(255)]; }, '/coordinator_pubkey');
  broken('hybrid public key', (b) => { b.coordinator_pubkey = [6, ...Array(64).fill(1)]; }, '/coordinator_pubkey');
  broken('a byte of 256', (b) => { b.coordinator_pubkey[5] = 256; }, '/coordinator_pubkey/5');
  broken('a byte of 1.5', (b) => { b.coordinator_pubkey[5] = 1.5; }, '/coordinator_pubkey/5');
  broken('ciphertext is not hex', (b) => { b.coordinator_encrypted_private_key = 'zz'; }, '/coordinator_encrypted_private_key');
  broken('unknown enclave', (b) => { b.coordinator_enclave_id = 4711; }, '/coordinator_enclave_id');
  broken('one participant', (b) => { b.expected_participants.length = 1; }, '/expected_participants');
  broken('timeout 0', (b) => { b.timeout_secs = 0; }, '/timeout_secs');
  broken('timeout above a day', (b) => { b.timeout_secs = 86401; }, '/timeout_secs');
  broken('timeout as a float', (b) => { b.timeout_secs = 10.5; }, '/timeout_secs');
  broken('negative quota', (b) => { b.max_signing_sessions = -1; }, '/max_signing_sessions');
  broken('quota above u32', (b) => { b.max_signing_sessions = 2 ** 32; }, '/max_signing_sessions');
  broken('unknown tweak', (b) => { b.taproot_tweak_config = { type: 'other' }; }, '/taproot_tweak_config/type');
  broken('merkle root of 31 bytes', (b) => { b.taproot_tweak_config = { type: 'taproot_with_merkle_root', merkle_root: Array(31).fill(1) }; }, '/taproot_tweak_config/merkle_root');
  broken('unknown key order', (b) => { b.key_order = 'random'; }, '/key_order');
  test('participants twice', async () => {
    const body = await keygen(3).createBody();
    body.expected_participants[2] = body.expected_participants[1];
    refused(await appliance.post('/keygen', body), 400, 'validation_failed');
  });
  test('more than max_participants', async () => {
    const body = await keygen(2).createBody();
    body.expected_participants = Array.from({ length: 1001 }, newId);
    refused(await appliance.post('/keygen', body), 400, 'validation_failed', { pointer: '/expected_participants' });
  });
  test('a tweak that is not below the group order', async () => {
    for (const type of ['plain_tweak', 'x_only_tweak']) {
      const response = await keygen(2, { tweak: { type, tweak: Array(32).fill(255) } }).create();
      assert.equal(response.status, 400, response.text);
    }
  });
  test('ciphertexts for another enclave, damaged, or of other lengths', async () => {
    const session = keygen();
    const other = await session.enclaveKey(1);
    const own = await session.enclaveKey(0);
    for (const change of [
      (b) => { b.coordinator_encrypted_private_key = ecies(other, session.users[0].secret); },
      (b) => { b.encrypted_session_secret = ecies(other, hex(session.secret)); },
      (b) => { b.coordinator_encrypted_private_key = b.coordinator_encrypted_private_key.slice(0, -2) + (b.coordinator_encrypted_private_key.endsWith('00') ? '01' : '00'); },
      (b) => { b.encrypted_session_secret = ecies(own, hex(session.secret).slice(2)); },
      (b) => { b.encrypted_session_secret = ecies(own, session.secret); },
      (b) => { b.coordinator_encrypted_private_key = ecies(own, Buffer.alloc(31, 1)); },
    ]) {
      const body = await session.createBody();
      change(body);
      const response = await appliance.post('/keygen', body);
      assert.equal(response.status, 400, response.text);
      assert.ok(['wrong_enclave', 'validation_failed', 'key_mismatch'].includes(response.json.error.type), response.text);
    }
    accepted(await session.create()); // nothing of the refused ones was kept
  });
  test('coordinator key does not match its public key', async () => {
    const session = keygen();
    const body = await session.createBody();
    body.coordinator_pubkey = numbers(new User().publicKey);
    refused(await appliance.post('/keygen', body), 400, 'key_mismatch');
  });
  test('the same request again is answered alike; another under its id is refused', async () => {
    const session = keygen();
    const body = await session.createBody();
    const first = accepted(await appliance.post('/keygen', body));
    assert.deepEqual(accepted(await appliance.post('/keygen', body)), first);
    const sameIds = { ...body, keygen_session_id: `{${body.keygen_session_id.toUpperCase()}}` };
    assert.deepEqual(accepted(await appliance.post('/keygen', sameIds)), first);
    refused(await appliance.post('/keygen', { ...body, timeout_secs: 7 }), 409, 'duplicate_id');
  });
  test('a blob that served another session', async () => {
    const first = keygen();
    const firstBody = await first.createBody();
    accepted(await appliance.post('/keygen', firstBody));
    const second = keygen();
    const body = await second.createBody();
    body.encrypted_session_secret = firstBody.encrypted_session_secret;
    refused(await appliance.post('/keygen', body), 409, 'blob_reused');
  });
  test('65-byte public keys and unknown fields are accepted', async () => {
    const { secp256k1 } = await import('@noble/curves/secp256k1');
    const session = keygen();
    const body = await session.createBody();
    body.coordinator_pubkey = numbers(secp256k1.getPublicKey(session.users[0].secret, false));
    body.unknown_field = { deep: [1, 2, 3] };
    accepted(await appliance.post('/keygen', body));
  });
});

describe('registration', () => {
  test('header: absent, malformed, wrong, replayed, foreign', async () => {
    const session = keygen();
    accepted(await session.create());
    const [alice, bob] = session.users;
    const path = `/keygen/${session.id}/participants`;
    const body = await session.registerBody(alice);
    const missing = await appliance.post(path, body);
    refused(missing, 401, 'auth_missing');
    assert.match(missing.headers['www-authenticate'], /KeyMeld/);
    for (const value of ['x', ':', 'aa:bb', `${'a'.repeat(31)}:${'b'.repeat(64)}`, `${'A'.repeat(32)}:${'b'.repeat(64)}`, `${'a'.repeat(32)}:${'b'.repeat(64)}:c`])
      refused(await appliance.post(path, body, { 'X-Session-HMAC': value }), 401, 'auth_malformed');
    refused(await appliance.post(path, body, { 'X-Session-HMAC': sessionHeader(randomBytes(32), session.id, alice.id) }), 403, 'auth_failed');
    refused(await appliance.post(path, body, { 'X-Session-HMAC': sessionHeader(session.secret, session.id, bob.id) }), 403, 'auth_failed');
    const nonce = hex(randomBytes(16));
    const header = { 'X-Session-HMAC': sessionHeader(session.secret, session.id, alice.id, nonce) };
    accepted(await appliance.post(path, body, header));
    refused(await appliance.post(path, body, header), 403, 'nonce_replayed');
    const stranger = new User();
    const strangers = { ...body, user_id: stranger.id };
    refused(await appliance.post(path, strangers, session.header(stranger)), 403, 'not_a_participant');
  });
  test('unknown session', async () => {
    const session = keygen();
    const [alice] = session.users;
    const body = { keygen_session_id: session.id, user_id: alice.id, encrypted_private_key: '00'.repeat(93), public_key: numbers(alice.publicKey), require_signing_approval: false };
    refused(await appliance.post(`/keygen/${session.id}/participants`, body, session.header(alice)), 404, 'not_found');
  });
  test('field rules', async () => {
    const session = keygen();
    accepted(await session.create());
    const [alice] = session.users;
    const good = await session.registerBody(alice);
    const path = `/keygen/${session.id}/participants`;
    for (const [change, pointer] of [
      [{ keygen_session_id: newId() }, '/keygen_session_id'],
      [{ user_id: 'x' }, '/user_id'],
      [{ public_key: [4, 5] }, '/public_key'],
      [{ encrypted_private_key: 'abc' }, '/encrypted_private_key'],
      [{ approval_policy: 'maybe' }, '/approval_policy'],
      [{ require_signing_approval: true, approval_policy: 'none' }, '/approval_policy'],
      [{ require_signing_approval: 'yes' }, '/require_signing_approval'],
    ])
      refused(await appliance.post(path, { ...good, ...change }, session.header(alice)), 400, 'validation_failed', { pointer });
    const key = await session.enclaveKey(0);
    refused(await appliance.post(path, { ...good, public_key: numbers(new User().publicKey) }, session.header(alice)), 400, 'key_mismatch');
    const wrong = await appliance.post(path, { ...good, encrypted_private_key: ecies(await session.enclaveKey(2), alice.secret) }, session.header(alice));
    refused(wrong, 400, 'wrong_enclave', { assigned_enclave_id: 0, enclave_key_epoch: 1 });
    accepted(await appliance.post(path, { ...good, encrypted_private_key: ecies(key, alice.secret) }, session.header(alice)));
  });
  test('again with the same body is the recorded answer, with another it is refused', async () => {
    const session = keygen(3);
    accepted(await session.create());
    const slots = await session.slots();
    const [alice, bob] = session.users;
    const body = await session.registerBody(alice, true, slots);
    const path = `/keygen/${session.id}/participants`;
    const first = accepted(await appliance.post(path, body, session.header(alice)));
    assert.equal(first.participants_registered, 1);
    assert.equal(first.require_signing_approval, true);
    accepted(await session.register(bob, undefined, slots));
    assert.deepEqual(accepted(await appliance.post(path, body, session.header(alice))), first);
    refused(await session.register(alice, undefined, slots), 409, 'already_registered');
  });
  test('a blob that served another participant', async () => {
    const session = keygen(2);
    const twin = new User();
    twin.secret = session.users[0].secret;
    twin.publicKey = session.users[0].publicKey;
    // both slots on one enclave: a fleet of three gives user 3 (index 3) enclave 0 again
    const four = new Keygen(appliance, [...session.users, new User(), twin]);
    accepted(await four.create());
    const slots = await four.slots();
    assert.equal(slots[3].enclave_id, slots[0].enclave_id);
    const first = await four.registerBody(four.users[0], undefined, slots);
    accepted(await appliance.post(`/keygen/${four.id}/participants`, first, four.header(four.users[0])));
    const second = { ...first, user_id: twin.id };
    refused(await appliance.post(`/keygen/${four.id}/participants`, second, four.header(twin)), 409, 'blob_reused');
  });
  test('slots are gone when the session is completed', async () => {
    const session = keygen();
    await session.complete();
    refused(await appliance.get(`/keygen/${session.id}/slots`), 409, 'wrong_state', { status: 'completed' });
    refused(await appliance.get(`/keygen/${newId()}/slots`), 404, 'not_found');
  });
});

describe('ecies_aad', () => {
  test('the session works, and only under what the client encrypted for', async () => {
    for (const policy of ['none', 'header', 'bound']) {
      const session = keygen(2, { aad: true, sessions: 5, order: 'bip327_sorted' });
      await session.complete([policy]);
    }
    const session = keygen(2, { aad: true, sessions: 5 });
    const body = await session.createBody();
    for (const change of [{ max_signing_sessions: 6 }, { key_order: 'bip327_sorted' }, { taproot_tweak_config: { type: 'none' } }, { ecies_aad: false },
      { expected_participants: [session.users[0].id, newId()] }])
      refused(await appliance.post('/keygen', { ...body, ...change }), 400, 'wrong_enclave');
    accepted(await appliance.post('/keygen', body));
    const registration = await session.registerBody(session.users[1], 'bound');
    for (const policy of ['none', 'header'])
      refused(await appliance.post(`/keygen/${session.id}/participants`,
        { ...registration, approval_policy: policy, require_signing_approval: policy !== 'none' }, session.header(session.users[1])), 400, 'wrong_enclave');
    accepted(await appliance.post(`/keygen/${session.id}/participants`, registration, session.header(session.users[1])));
  });
});

describe('keygen status', () => {
  test('headers, waiting and fields', async () => {
    const session = keygen(3);
    accepted(await session.create());
    refused(await appliance.get(`/keygen/${session.id}/status`), 401, 'auth_missing');
    refused(await appliance.get(`/keygen/${newId()}/status`, session.header()), 404, 'not_found');
    for (const wait of ['61', '-1', 'x', '1.5', ''])
      refused(await session.status(undefined, `?wait=${wait}`), 400, 'validation_failed', { parameter: 'wait' });
    const header = session.header();
    const status = accepted(await appliance.get(`/keygen/${session.id}/status`, header));
    refused(await appliance.get(`/keygen/${session.id}/status`, header), 403, 'nonce_replayed');
    assert.equal(status.status, 'collecting_participants');
    assert.equal(status.aggregate_public_key, null);
    assert.equal(status.aggregate_key_tag, null);
    assert.deepEqual(status.participants.map((p) => [p.signer_index, p.registered, p.public_key]), [[0, false, null], [1, false, null], [2, false, null]]);
    // the long poll ends when the session completes
    const waiting = session.status(session.users[1], '?wait=20');
    const slots = await session.slots();
    for (const user of session.users) accepted(await session.register(user, undefined, slots));
    const done = accepted(await waiting);
    assert.equal(done.status, 'completed');
    assert.equal(done.signer_index, 1);
    assert.equal(done.expires_at, 0);
    assert.match(done.aggregate_key_tag, /^[0-9a-f]{64}$/);
  });
  test('expiry ends an unfinished session with a reason', async () => {
    const session = keygen(2, { timeout: 1 });
    accepted(await session.create());
    const status = accepted(await session.status(undefined, '?wait=10'));
    assert.equal(status.status, 'failed');
    assert.equal(status.failure.type, 'expired');
    assert.equal(status.expires_at, 0);
    refused(await session.register(session.users[0], undefined, [{ user_id: session.users[0].id, enclave_id: 0 }]), 409, 'wrong_state', { status: 'failed' });
    refused(await session.sign(randomBytes(32)), 409, 'wrong_state', { status: 'failed' });
  });
});

describe('POST /signing', () => {
  let session;
  before(async () => {
    session = keygen(3);
    await session.complete();
  });
  test('field rules', async () => {
    const message = randomBytes(32);
    const good = session.signingBody(message);
    for (const [change, pointer] of [
      [{ signing_session_id: 'x' }, '/signing_session_id'],
      [{ message_hash: numbers(message).slice(1) }, '/message_hash'],
      [{ encrypted_message: '' }, '/encrypted_message'],
      [{ timeout_secs: 0 }, '/timeout_secs'],
      [{ timeout_secs: 86401 }, '/timeout_secs'],
    ])
      refused(await appliance.post('/signing', { ...good, ...change }, session.header()), 400, 'validation_failed', { pointer });
    const other = hex(randomBytes(32));
    refused(await appliance.post('/signing', { ...good, encrypted_message: other }, session.header()), 400, 'message_mismatch');
    refused(await appliance.post('/signing', { ...good, encrypted_message: sealData(session.secret, 'message', randomBytes(32)) }, session.header()), 400, 'message_mismatch');
    for (const form of [hex(message), hex(message).toUpperCase(), sealData(session.secret, 'message', message), sealData(session.secret, 'message', Buffer.from(hex(message))), null, undefined]) {
      const body = { ...good, signing_session_id: newId(), encrypted_message: form };
      accepted(await appliance.post('/signing', body, session.header(session.users[2])));
      assert.equal((await session.finish(body.signing_session_id, message)).status, 'completed');
    }
    for (const bad of ['00', 'zz', sealData(randomBytes(32), 'message', message), sealData(session.secret, 'signature', message)]) {
      const response = await appliance.post('/signing', { ...good, signing_session_id: newId(), encrypted_message: bad }, session.header());
      assert.equal(response.status, 400, response.text);
    }
  });
  test('unknown or unfinished keygen', async () => {
    const unknown = keygen();
    refused(await unknown.sign(randomBytes(32)), 404, 'not_found');
    accepted(await unknown.create());
    refused(await unknown.sign(randomBytes(32)), 409, 'wrong_state', { status: 'collecting_participants' });
  });
  test('headers', async () => {
    const body = session.signingBody(randomBytes(32));
    refused(await appliance.post('/signing', body), 401, 'auth_missing');
    refused(await appliance.post('/signing', body, { 'X-Session-HMAC': sessionHeader(randomBytes(32), session.id, session.users[0].id) }), 403, 'auth_failed');
    const header = session.header();
    accepted(await appliance.post('/signing', body, header));
    refused(await appliance.post('/signing', session.signingBody(randomBytes(32)), header), 403, 'nonce_replayed');
  });
  test('the same request again, and another under its id', async () => {
    const body = session.signingBody(randomBytes(32));
    const first = accepted(await appliance.post('/signing', body, session.header()));
    assert.deepEqual(accepted(await appliance.post('/signing', body, session.header())), first);
    refused(await appliance.post('/signing', { ...body, timeout_secs: 9 }, session.header()), 409, 'duplicate_id');
    refused(await appliance.post('/signing', { ...body, signing_session_id: session.id }, session.header()), 409, 'duplicate_id');
  });
  test('quota', async () => {
    const none = keygen(2, { sessions: 0 });
    await none.complete();
    refused(await none.sign(randomBytes(32)), 409, 'quota_exceeded');
    const two = keygen(2, { sessions: 2 });
    await two.complete();
    for (let i = 0; i < 2; ++i) accepted(await two.sign(randomBytes(32)));
    refused(await two.sign(randomBytes(32)), 409, 'quota_exceeded');
  });
  test('status: strangers, unknown sessions, replay', async () => {
    const id = newId();
    accepted(await session.sign(randomBytes(32), id));
    const stranger = new User();
    refused(await session.signingStatus(id, stranger), 403, 'not_a_participant');
    refused(await session.signingStatus(newId()), 404, 'not_found');
    const impostor = new User(session.users[0].id);
    refused(await session.signingStatus(id, impostor), 403, 'auth_failed');
    const header = { 'X-Signing-HMAC': session.users[0].signingHeader() };
    accepted(await appliance.get(`/signing/${id}/status`, header));
    refused(await appliance.get(`/signing/${id}/status`, header), 403, 'nonce_replayed');
    refused(await appliance.raw('POST', `/signing/${id}`, { headers: header }), 403, 'nonce_replayed');
  });
});

describe('approvals', () => {
  async function waiting(policies, options) {
    const session = keygen(policies.length, options);
    await session.complete(policies);
    const message = randomBytes(32);
    const id = newId();
    accepted(await session.sign(message, id));
    return { session, message, id };
  }
  const state = async (session, id) => accepted(await session.signingStatus(id));

  test('header and bound, in any order; lists show who is missing', async () => {
    const { session, message, id } = await waiting(['header', 'none', 'bound']);
    const [a, b, c] = session.users;
    let status = await state(session, id);
    assert.equal(status.status, 'collecting_participants');
    assert.deepEqual(status.participants_requiring_approval, [a.id, c.id]);
    assert.deepEqual(status.approved_participants, []);
    refused(await session.approve(id, c), 403, 'bound_approval_required');
    accepted(await session.approve(id, b)); // without effect
    accepted(await session.approve(id, a));
    accepted(await session.approve(id, a)); // again
    status = await state(session, id);
    assert.deepEqual(status.approved_participants, [a.id]);
    accepted(await session.approve(id, c, c.boundApproval(session.id, id, message, now() + 600)));
    const done = await session.finish(id, message);
    assert.equal(done.status, 'completed');
    assert.deepEqual(done.participants_requiring_approval, []);
    assert.deepEqual(done.approved_participants, []);
    accepted(await session.approve(id, a)); // nobody needs it any more
  });
  test('what is wrong with a bound approval', async () => {
    const { session, message, id } = await waiting(['bound', 'none']);
    const [a, b] = session.users;
    const good = a.boundApproval(session.id, id, message, now() + 600);
    refused(await session.approve(id, a, { ...good, message_hash: hex(randomBytes(32)) }), 400, 'message_mismatch');
    refused(await session.approve(id, a, a.boundApproval(session.id, id, message, now() - 1)), 403, 'approval_expired');
    refused(await session.approve(id, a, a.boundApproval(session.id, id, message, now() + 86400 * 30)), 400, 'validation_failed', { pointer: '/expires_at' });
    refused(await session.approve(id, a, b.boundApproval(session.id, id, message, now() + 600)), 403, 'auth_failed');
    refused(await session.approve(id, a, a.boundApproval(session.id, newId(), message, now() + 600)), 403, 'auth_failed');
    refused(await session.approve(id, a, { ...good, signature: '00' }), 400, 'validation_failed', { pointer: '/signature' });
    refused(await session.approve(id, a, {}), 400, 'validation_failed');
    assert.equal((await state(session, id)).status, 'collecting_participants');
    accepted(await session.approve(id, a, { ...good, message_hash: numbers(message) }));
    assert.equal((await session.finish(id, message)).status, 'completed');
  });
  test('a bound approval that expires before signing starts lapses', async () => {
    const { session, message, id } = await waiting(['bound', 'bound']);
    const [a, b] = session.users;
    accepted(await session.approve(id, a, a.boundApproval(session.id, id, message, now() + 2)));
    assert.deepEqual((await state(session, id)).approved_participants, [a.id]);
    await new Promise((resolve) => setTimeout(resolve, 3500));
    assert.deepEqual((await state(session, id)).approved_participants, []);
    accepted(await session.approve(id, b, b.boundApproval(session.id, id, message, now() + 600)));
    assert.equal((await state(session, id)).status, 'collecting_participants');
    accepted(await session.approve(id, a, a.boundApproval(session.id, id, message, now() + 600)));
    assert.equal((await session.finish(id, message)).status, 'completed');
  });
  test('one header approves one session only', async () => {
    const session = keygen(2);
    await session.complete(['header', 'none']);
    const ids = [newId(), newId()];
    const message = randomBytes(32);
    for (const id of ids) accepted(await session.sign(message, id));
    const headers = { 'X-Signing-HMAC': session.users[0].signingHeader() };
    accepted(await appliance.raw('POST', `/signing/${ids[0]}`, { headers }));
    refused(await appliance.raw('POST', `/signing/${ids[1]}`, { headers }), 403, 'nonce_replayed');
    assert.equal((await session.finish(ids[0], message)).status, 'completed');
    assert.equal((await state(session, ids[1])).status, 'collecting_participants');
  });
  test('rejection', async () => {
    const { session, message, id } = await waiting(['header', 'none', 'header']);
    const [a, b, c] = session.users;
    refused(await session.reject(id, b), 403, 'not_permitted');
    accepted(await session.approve(id, a));
    const rejected = accepted(await session.reject(id, a));
    assert.equal(rejected.status, 'failed');
    assert.equal(rejected.failure.type, 'rejected');
    assert.equal(rejected.expires_at, 0);
    accepted(await session.reject(id, c)); // again
    refused(await session.approve(id, c), 409, 'wrong_state', { status: 'failed' });
    const id2 = newId();
    accepted(await session.sign(message, id2)); // the keygen session stays usable
    for (const user of [a, c]) accepted(await session.approve(id2, user));
    assert.equal((await session.finish(id2, message)).status, 'completed');
    refused(await session.reject(id2, a), 409, 'wrong_state', { status: 'completed' });
  });
  test('expiry of a signing session', async () => {
    const session = keygen(2);
    await session.complete(['header', 'none']);
    const id = newId();
    accepted(await appliance.post('/signing', session.signingBody(randomBytes(32), id, 1), session.header()));
    const status = accepted(await session.signingStatus(id, undefined, '?wait=10'));
    assert.equal(status.status, 'failed');
    assert.equal(status.failure.type, 'expired');
    refused(await session.approve(id, session.users[0]), 409, 'wrong_state', { status: 'failed' });
  });
});

describe('enclaves and operations', () => {
  test('unknown enclave', async () => {
    refused(await appliance.get('/enclaves/99/public-key'), 404, 'not_found');
    refused(await appliance.get('/enclaves/99/attestation'), 404, 'not_found');
  });
  test('attestation nonces', async () => {
    for (const nonce of ['', 'x', 'abc', '00'.repeat(65)])
      refused(await appliance.get(`/enclaves/0/attestation?nonce=${nonce}`), 400, 'validation_failed', { parameter: 'nonce' });
    const nonce = randomBytes(32);
    const answer = accepted(await appliance.get(`/enclaves/0/attestation?nonce=${hex(nonce)}`));
    const document = Buffer.from(answer.attestation_document, 'base64');
    assert.ok(document.includes(nonce) && document.includes(Buffer.from(answer.public_key, 'hex')));
    assert.ok(document.includes(Buffer.from(`{"key_epoch":${answer.key_epoch},"protocol":"keymeld-v1"}`)));
  });
  test('health, ready, version, metrics', async () => {
    const health = accepted(await appliance.get('/health'));
    assert.equal(health.status, 'healthy');
    assert.deepEqual(Object.keys(health.database_stats).sort(), ['active_sessions', 'database_size_bytes', 'total_participants', 'total_sessions']);
    assert.equal(accepted(await appliance.get('/ready')).ready, true);
    const version = accepted(await appliance.get('/version'));
    assert.equal(version.service, 'KeyMeld Gateway');
    for (const feature of ['service_participation', 'user_authentication', 'enclave_isolation', 'bound_approvals', 'ecies_aad', 'key_order', 'long_poll', 'events', 'attestation'])
      assert.equal(typeof version.features[feature], 'boolean', feature);
    const metrics = await appliance.get('/metrics');
    assert.match(metrics.headers['content-type'], /^text\/plain; version=0\.0\.4/);
    for (const family of ['keymeld_session_state_transitions_total', 'keymeld_session_processing_duration_seconds', 'keymeld_active_sessions',
      'keymeld_session_errors_total', 'keymeld_enclave_health', 'keymeld_api_requests_total', 'keymeld_quota_violations_total', 'keymeld_musig_operations_total'])
      assert.match(metrics.text, new RegExp(`^# TYPE ${family} `, 'm'), family);
    assert.doesNotMatch(metrics.text, /[0-9a-f]{8}-[0-9a-f]{4}-/); // no id is a label
  });
});
