// One ceremony of two implementations: signers 1 and 3 are core/musig, signer 2 is @scure/btc-signer.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { schnorr, secp256k1 } from '@noble/curves/secp256k1';
import * as musig2 from '@scure/btc-signer/musig2';
import { hex, unhex } from './lib/keymeld.mjs';

const peer = `${process.env.KEYMELD_BUILD_DIR}/bin/tests/musig_peer`;

async function ceremony(mode, { spoil = false } = {}) {
  const secret = secp256k1.utils.randomPrivateKey();
  const publicKey = secp256k1.getPublicKey(secret, true);
  const message = randomBytes(32);
  const tweak = secp256k1.utils.randomPrivateKey();
  const child = spawn(peer, [], { stdio: ['pipe', 'pipe', spoil ? 'ignore' : 'inherit'] });
  const exit = new Promise((resolve) => child.on('exit', resolve));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const words = async () => (await lines.next()).value.split(' ');

  const nonce = musig2.nonceGen(publicKey, secret, undefined, message);
  child.stdin.write(`tweak ${mode} ${hex(tweak)}\nmessage ${hex(message)}\nkey ${hex(publicKey)} ${hex(nonce.public)}\n`);
  const keys = (await words())[1].split(',').map(unhex);
  const nonces = (await words())[1].split(',').map(unhex);
  const [, aggnonce, , aggregate] = await words();

  const tweaks = mode === 'none' ? [] : [tweak];
  const xOnly = mode === 'none' ? [] : [mode === 'xonly'];
  // what the other side computed, computed here
  assert.equal(hex(musig2.nonceAggregate(nonces)), aggnonce);
  const context = musig2.keyAggregate(keys, tweaks, xOnly);
  assert.equal(hex(musig2.keyAggExport(context)), aggregate.slice(2));

  const session = new musig2.Session(unhex(aggnonce), keys, message, tweaks, xOnly);
  const share = session.sign(nonce.secret, secret);
  if (spoil) share[31] ^= 1;
  child.stdin.end(`partial ${hex(share)}\n`);
  if (spoil) return exit;
  const signature = unhex((await words())[1]);
  assert.ok(schnorr.verify(signature, message, unhex(aggregate).subarray(1)));
  assert.equal(await exit, 0);
  return unhex(aggregate)[0];
}

for (const mode of ['none', 'plain', 'xonly'])
  test(`tweak ${mode}, until both parities of the aggregate were seen`, async () => {
    const seen = new Set();
    for (let i = 0; i < 64 && seen.size < 2; ++i) seen.add(await ceremony(mode));
    assert.deepEqual([...seen].sort(), [2, 3]);
  });

test('a spoilt share of the other implementation is refused', async () => assert.notEqual(await ceremony('none', { spoil: true }), 0));
