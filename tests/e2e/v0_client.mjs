// The call sequence of an unmodified v0 client (rest-v1.md section 8), with its checks of fields and types; nothing of v1 is sent or read.
//
// Usage: node v0_client.mjs [URL]     without URL it starts a fleet of its own
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import { schnorr } from '@noble/curves/secp256k1';
import { Appliance, User, ecies, hex, numbers, openData, sessionHeader, newId } from './lib/keymeld.mjs';
import { startFleet } from './lib/fleet.mjs';

const isCount = (n) => Number.isSafeInteger(n) && n >= 0;
const isHex = (s, bytes) => typeof s === 'string' && new RegExp(`^[0-9a-f]{${2 * bytes}}$`).test(s);
const KEYGEN_STATES = ['collecting_participants', 'completed', 'failed'];
const SIGNING_STATES = ['collecting_participants', 'session_full', 'generating_nonces', 'collecting_nonces', 'aggregating_nonces',
  'generating_partial_signatures', 'collecting_partial_signatures', 'finalizing_signature', 'completed', 'failed'];

function need(object, fields) {
  for (const [name, right] of Object.entries(fields)) assert.ok(right(object[name]), `field ${name}: ${JSON.stringify(object[name])}`);
}
const ok = (response) => {
  assert.ok(response.status >= 200 && response.status < 300, `${response.status} ${response.text}`);
  return response.json;
};

async function runV0(url, n) {
  const appliance = new Appliance(url);
  const coordinator = new User();
  const participants = Array.from({ length: n }, () => new User());
  const secret = randomBytes(32);

  // 1
  const listing = ok(await appliance.get('/enclaves'));
  need(listing, { enclaves: Array.isArray, total_enclaves: isCount, healthy_enclaves: isCount });
  for (const enclave of listing.enclaves)
    need(enclave, {
      enclave_id: isCount, healthy: (b) => typeof b === 'boolean', public_key: (s) => isHex(s, 33), attestation_document: (s) => typeof s === 'string',
      active_sessions: isCount, uptime_seconds: isCount, key_epoch: isCount, key_generation_time: isCount, last_health_check: isCount,
    });
  const first = listing.enclaves.find((e) => e.healthy === true);

  // 2
  const keygenId = newId();
  const users = [coordinator, ...participants];
  const created = ok(await appliance.post('/keygen', {
    keygen_session_id: keygenId,
    coordinator_pubkey: numbers(coordinator.publicKey),
    coordinator_encrypted_private_key: ecies(first.public_key, coordinator.secret),
    coordinator_enclave_id: first.enclave_id,
    expected_participants: users.map((u) => u.id),
    timeout_secs: 1800,
    encrypted_session_secret: ecies(first.public_key, hex(secret)),
    max_signing_sessions: null,
    taproot_tweak_config: { type: 'unspendable_taproot' },
  }));
  need(created, {
    keygen_session_id: (s) => s === keygenId, coordinator_enclave_id: (i) => i === first.enclave_id, status: (s) => s === 'collecting_participants',
    expected_participants: (c) => c === n + 1, expires_at: isCount, enclave_epochs: (o) => o && Object.keys(o).length === 0,
    session_secret: (s) => typeof s === 'string',
  });

  // 3
  const slots = ok(await appliance.get(`/keygen/${keygenId}/slots`));
  need(slots, { session_id: (s) => s === keygenId, available_slots: (a) => Array.isArray(a) && a.length >= n + 1, total_slots: (c) => c === n + 1, claimed_slots: (c) => c === 0 });
  for (const slot of slots.available_slots)
    need(slot, { user_id: (s) => typeof s === 'string', enclave_id: isCount, signer_index: isCount, claimed: (b) => b === false });

  // 4, 5
  for (const [i, user] of users.entries()) {
    const { enclave_id: enclaveId } = slots.available_slots[i];
    const key = (await appliance.get(`/enclaves/${enclaveId}/public-key`)).json;
    need(key, { enclave_id: isCount, public_key: (s) => isHex(s, 33), attestation_document: (s) => typeof s === 'string', pcr_measurements: (o) => typeof o === 'object', timestamp: isCount, healthy: (b) => typeof b === 'boolean' });
    ok(await appliance.post(`/keygen/${keygenId}/participants`, {
      keygen_session_id: keygenId, user_id: user.id, encrypted_private_key: ecies(key.public_key, user.secret),
      public_key: numbers(user.publicKey), require_signing_approval: i <= 1,
    }, { 'X-Session-HMAC': sessionHeader(secret, keygenId, user.id) }));
  }

  // 6, 7
  await sleep(1000);
  let status;
  for (let poll = 0; poll < 60; ++poll) {
    status = ok(await appliance.get(`/keygen/${keygenId}/status`, { 'X-Session-HMAC': sessionHeader(secret, keygenId, coordinator.id) }));
    need(status, {
      keygen_session_id: (s) => s === keygenId, status: (s) => KEYGEN_STATES.includes(s), expected_participants: isCount, registered_participants: isCount,
      expires_at: isCount, aggregate_public_key: (k) => k === null || (Array.isArray(k) && k.length === 33),
    });
    assert.notEqual(status.status, 'failed');
    if (status.status === 'completed' && status.aggregate_public_key) break;
    await sleep(2000);
  }
  assert.equal(status.status, 'completed');
  const key = Buffer.from(status.aggregate_public_key);

  // 8, 9: any 32 bytes stand for the sighash here; tests/e2e/bitcoin* sign real ones
  const sighash = randomBytes(32);
  const signingId = newId();
  ok(await appliance.post('/signing', {
    signing_session_id: signingId, keygen_session_id: keygenId, message_hash: numbers(sighash), encrypted_message: hex(sighash), timeout_secs: 1800,
  }, { 'X-Session-HMAC': sessionHeader(secret, keygenId, coordinator.id) }));

  // 10: no body, no Content-Type
  for (const user of [coordinator, participants[0]])
    ok(await appliance.raw('POST', `/signing/${signingId}`, { headers: { 'X-Signing-HMAC': user.signingHeader() } }));

  // 11
  let signing;
  for (;;) {
    signing = ok(await appliance.get(`/signing/${signingId}/status`, { 'X-Signing-HMAC': coordinator.signingHeader() }));
    need(signing, {
      signing_session_id: (s) => s === signingId, keygen_session_id: (s) => s === keygenId, status: (s) => SIGNING_STATES.includes(s),
      participants_registered: isCount, expected_participants: isCount, expires_at: isCount, final_signature: (s) => s === null || typeof s === 'string',
    });
    assert.notEqual(signing.status, 'failed');
    if (signing.status === 'completed') break;
    await sleep(2000);
  }

  // 12
  const signature = openData(secret, 'signature', signing.final_signature);
  assert.equal(signature.length, 64);
  assert.ok(schnorr.verify(signature, sighash, key.subarray(1)), 'the signature verifies under the reported key, without further tweak');
  appliance.close();
}

const given = process.argv[2];
let fleet;
before(async () => { if (!given) fleet = await startFleet(); });
after(() => fleet?.stop());
for (const n of [1, 2, 5])
  test(`a v0 client with ${n} participants beside the coordinator`, () => runV0(given ?? fleet.url, n));
