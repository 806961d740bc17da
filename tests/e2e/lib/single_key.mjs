// The owner of a single key, written from rest-keys.md alone: it shares no code with the product.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto';
import { schnorr, secp256k1 } from '@noble/curves/secp256k1';
import { ecies, hex, newId, numbers, sha256, unhex } from './keymeld.mjs';

const derived = (secret, info) => Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), info, 32));

// hex of context_len || context || nonce || ciphertext || tag
export function sealBinary(secret, context, plaintext) {
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', derived(secret, context), nonce);
  const body = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  return hex(Buffer.concat([Buffer.from([context.length]), Buffer.from(context), nonce, body]));
}
export function openBinary(secret, context, text) {
  const data = unhex(text);
  const length = data[0];
  if (data.subarray(1, 1 + length).toString() !== context) throw new Error('another context');
  const rest = data.subarray(1 + length);
  const decipher = createDecipheriv('aes-256-gcm', derived(secret, context), rest.subarray(0, 12));
  decipher.setAuthTag(rest.subarray(-16));
  return Buffer.concat([decipher.update(rest.subarray(12, -16)), decipher.final()]);
}

export class SingleKey {
  constructor(appliance, { user = newId(), secret = Buffer.from(secp256k1.utils.randomPrivateKey()) } = {}) {
    Object.assign(this, { appliance, user, secret });
    this.auth = derived(secret, 'keymeld-session-auth-v1:single_signer_auth');
    this.authKey = Buffer.from(secp256k1.getPublicKey(this.auth, true));
  }
  signature(scope = this.id, nonce = randomBytes(16), by = this.auth) {
    return `${hex(nonce)}:${secp256k1.sign(sha256(scope, this.user, nonce), by, { lowS: true }).toCompactHex()}`;
  }
  header(scope) {
    return { 'X-User-Signature': this.signature(scope) };
  }
  async reserve() {
    const answer = await this.appliance.post('/keys/reserve', { user_id: this.user });
    if (answer.status === 200) Object.assign(this, { id: answer.json.key_id, enclaveKey: answer.json.enclave_public_key });
    return answer;
  }
  importBody() {
    return { key_id: this.id, user_id: this.user, encrypted_private_key: ecies(this.enclaveKey, this.secret),
      auth_pubkey: numbers(this.authKey), enclave_public_key: this.enclaveKey };
  }
  async import(body = this.importBody()) {
    const answer = await this.appliance.post('/keys/import', body, this.header());
    if (answer.status === 200) this.publicKey = unhex(answer.json.public_key);
    return answer;
  }
  async generate({ allowed = ['ecdsa', 'schnorr_bip340'], label = 'made here' } = {}) {
    const tagKey = randomBytes(32);
    const answer = await this.appliance.post('/keys/generate', { key_id: this.id, user_id: this.user, auth_pubkey: numbers(this.authKey),
      allowed, label, encrypted_session_secret: ecies(this.enclaveKey, tagKey) }, this.header());
    if (answer.status === 200) {
      this.publicKey = unhex(answer.json.public_key);
      const text = `keymeld-single-key-v1:${this.id}:${this.user}:${hex(this.authKey)}:${answer.json.public_key}:${allowed.join(',')}`;
      this.vouched = createHmac('sha256', tagKey).update(text).digest('hex') === answer.json.key_tag;
    }
    return answer;
  }
  list() { return this.appliance.get(`/keys/${this.user}?key_id=${this.id}`, this.header()); }
  status() { return this.appliance.get(`/keys/${this.user}/${this.id}/status`, this.header()); }
  remove() { return this.appliance.raw('DELETE', `/keys/${this.user}/${this.id}`, { headers: this.header() }); }
  // A request to sign, with what is needed to read its answer.
  signing(digest, { type = 'ecdsa', timestamp = Math.floor(Date.now() / 1000), tweak } = {}) {
    const secret = randomBytes(32);
    const message = sealBinary(secret, 'session_data', hex(digest));
    const time = Buffer.alloc(8);
    time.writeBigUInt64LE(BigInt(timestamp));
    const approval = secp256k1.sign(sha256(message, this.id, time, tweak?.type ?? ''), this.auth, { lowS: true });
    return { secret, digest, type, body: { user_id: this.user, key_id: this.id, encrypted_message: message, signature_type: type,
      encrypted_session_secret: ecies(this.enclaveKey, secret), approval_signature: numbers(approval.toCompactRawBytes()),
      approval_timestamp: timestamp, ...(tweak ? { taproot_tweak: tweak } : {}) } };
  }
  sign(signing) { return this.appliance.post('/sign/single', signing.body, this.header()); }
  // The 64 bytes, if they verify under `key`.
  open(signing, answer, key = this.publicKey) {
    const signature = openBinary(signing.secret, 'signature', answer.encrypted_signature);
    const good = signing.type === 'ecdsa' ? secp256k1.verify(signature, signing.digest, key, { lowS: true })
      : schnorr.verify(signature, signing.digest, key.subarray(1));
    if (!good) throw new Error('the signature does not verify');
    return signature;
  }
}
