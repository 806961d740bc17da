// A KeyMeld client written from rest-v1.md alone, on @noble/curves and Node's crypto: it shares no code with the product.
import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import http from 'node:http';
import { schnorr, secp256k1 } from '@noble/curves/secp256k1';

export const hex = (bytes) => Buffer.from(bytes).toString('hex');
export const unhex = (text) => Buffer.from(text, 'hex');
export const sha256 = (...parts) => createHash('sha256').update(Buffer.concat(parts.map((p) => Buffer.from(p)))).digest();
export const numbers = (bytes) => Array.from(bytes);
export const newId = () => randomUUID();

export class User {
  constructor(id = newId()) {
    this.id = id;
    this.secret = Buffer.from(secp256k1.utils.randomPrivateKey());
    this.publicKey = Buffer.from(secp256k1.getPublicKey(this.secret, true));
  }
  // X-Signing-HMAC (3.3)
  signingHeader(nonce = hex(randomBytes(16))) {
    const signature = secp256k1.sign(sha256(`${this.id}:${nonce}`), this.secret, { lowS: true });
    return `${this.id}:${nonce}:${signature.toCompactHex()}`;
  }
  // 5.7
  boundApproval(keygenId, signingId, messageHash, expiresAt) {
    const raw = (id) => unhex(id.replaceAll('-', ''));
    const expiry = Buffer.alloc(8);
    expiry.writeBigUInt64BE(BigInt(expiresAt));
    const hash = schnorr.utils.taggedHash('KeyMeld/approval/v1',
      Buffer.concat([raw(keygenId), raw(signingId), raw(this.id), Buffer.from(messageHash), expiry]));
    return { message_hash: hex(messageHash), expires_at: expiresAt, signature: hex(schnorr.sign(hash, this.secret)) };
  }
}

// X-Session-HMAC (3.2)
export function sessionHeader(secret, keygenId, userId, nonce = hex(randomBytes(16))) {
  return `${nonce}:${createHmac('sha256', secret).update(`${keygenId}:${userId}:${nonce}`).digest('hex')}`;
}

// 5.1
export function ecies(enclaveKeyHex, plaintext, aad = '') {
  const ephemeral = secp256k1.utils.randomPrivateKey();
  const shared = secp256k1.getSharedSecret(ephemeral, unhex(enclaveKeyHex), true);
  const key = Buffer.from(hkdfSync('sha256', sha256(shared), Buffer.alloc(32), 'keymeld-ecies-encrypt', 32));
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  if (aad) cipher.setAAD(Buffer.from(aad));
  const body = Buffer.concat([cipher.update(plaintext), cipher.final()]);
  return hex(Buffer.concat([secp256k1.getPublicKey(ephemeral, true), nonce, body, cipher.getAuthTag()]));
}

// 5.3
export function sealData(secret, context, plaintext) {
  const key = Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), context, 32));
  const nonce = randomBytes(12);
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  const ciphertext = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
  return hex(Buffer.from(JSON.stringify({ ciphertext: numbers(ciphertext), nonce: numbers(nonce), context })));
}
export function openData(secret, context, hexJson) {
  const data = JSON.parse(unhex(hexJson).toString('utf8'));
  if (data.context !== context || data.nonce.length !== 12) throw new Error('not EncryptedData of this context');
  const bytes = Buffer.from(data.ciphertext);
  const key = Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), context, 32));
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(data.nonce));
  decipher.setAuthTag(bytes.subarray(bytes.length - 16));
  return Buffer.concat([decipher.update(bytes.subarray(0, bytes.length - 16)), decipher.final()]);
}

// AAD texts (5.1)
const tweakText = (tweak) => {
  const value = tweak.merkle_root ?? tweak.tweak;
  return value ? `${tweak.type}=${hex(value)}` : tweak.type;
};
export const paramsId = (users, tweak, order, sessions) =>
  hex(sha256(`keymeld-params-v1:${users.join(',')}:${tweakText(tweak)}:${order}:${sessions}`));
export const secretId = (secret) => hex(sha256('keymeld-secret-id-v1:', secret));

export class Appliance {
  constructor(url) {
    this.url = new URL(url);
    this.agent = new http.Agent({ keepAlive: true });
  }
  close() {
    this.agent.destroy();
  }
  // A request as it is: body may be a string of any form; resolves to {status, headers, text, json}.
  raw(method, path, { headers = {}, body } = {}) {
    return new Promise((resolve, reject) => {
      const request = http.request({
        host: this.url.hostname, port: this.url.port, agent: this.agent, method, path: `/api/v1${path}`,
        headers: body === undefined ? headers : { 'Content-Length': Buffer.byteLength(body), ...headers },
      }, (response) => {
        const parts = [];
        response.on('data', (part) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(parts).toString('utf8');
          let json;
          try { json = JSON.parse(text); } catch { json = undefined; }
          resolve({ status: response.statusCode, headers: response.headers, text, json });
        });
      });
      request.on('error', reject);
      request.setTimeout(70_000, () => request.destroy(new Error('no answer in 70 s')));
      request.end(body);
    });
  }
  get(path, headers = {}) {
    return this.raw('GET', path, { headers });
  }
  post(path, value, headers = {}) {
    return this.raw('POST', path, { headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify(value) });
  }
}

// A keygen session from a client's point of view. Options: tweak, order, aad, policies (per user), sessions, timeout.
export class Keygen {
  constructor(appliance, users, options = {}) {
    Object.assign(this, {
      appliance, users, id: newId(), secret: randomBytes(32), tweak: { type: 'unspendable_taproot' }, order: undefined,
      aad: false, sessions: null, timeout: 1800,
    }, options);
  }
  header(user = this.users[0]) {
    return { 'X-Session-HMAC': sessionHeader(this.secret, this.id, user.id) };
  }
  get params() {
    return paramsId(this.users.map((u) => u.id), this.tweak, this.order ?? 'user_id', this.sessions ?? 100);
  }
  async enclaveKey(id) {
    return (await this.appliance.get(`/enclaves/${id}/public-key`)).json.public_key;
  }
  async createBody(coordinatorEnclave = 0) {
    const key = await this.enclaveKey(coordinatorEnclave);
    const [coordinator] = this.users;
    const body = {
      keygen_session_id: this.id,
      coordinator_pubkey: numbers(coordinator.publicKey),
      coordinator_encrypted_private_key: ecies(key, coordinator.secret, this.aad ? `keymeld-ecies-v1:coordinator-key:${this.id}:${coordinator.id}` : ''),
      coordinator_enclave_id: coordinatorEnclave,
      expected_participants: this.users.map((u) => u.id),
      timeout_secs: this.timeout,
      encrypted_session_secret: ecies(key, hex(this.secret), this.aad ? `keymeld-ecies-v1:session-secret:${this.id}:${coordinator.id}:${this.params}` : ''),
      max_signing_sessions: this.sessions,
      taproot_tweak_config: this.tweak,
    };
    if (this.order) body.key_order = this.order;
    if (this.aad) body.ecies_aad = true;
    return body;
  }
  async create(coordinatorEnclave = 0) {
    return this.appliance.post('/keygen', await this.createBody(coordinatorEnclave));
  }
  async slots() {
    return (await this.appliance.get(`/keygen/${this.id}/slots`)).json.available_slots;
  }
  // policy: undefined (v0 form, no approval), true (v0 form, approval) or none/header/bound
  async registerBody(user, policy, slots) {
    const slot = (slots ?? await this.slots()).find((s) => s.user_id === user.id);
    const key = await this.enclaveKey(slot.enclave_id);
    const effective = policy === true ? 'header' : policy ?? 'none';
    const aad = this.aad ? `keymeld-ecies-v1:private-key:${this.id}:${user.id}:${effective}:${this.params}:${secretId(this.secret)}` : '';
    const body = {
      keygen_session_id: this.id, user_id: user.id, encrypted_private_key: ecies(key, user.secret, aad),
      public_key: numbers(user.publicKey), require_signing_approval: effective !== 'none',
    };
    if (typeof policy === 'string') body.approval_policy = policy;
    return body;
  }
  async register(user, policy, slots) {
    return this.appliance.post(`/keygen/${this.id}/participants`, await this.registerBody(user, policy, slots), this.header(user));
  }
  status(user = this.users[0], query = '') {
    return this.appliance.get(`/keygen/${this.id}/status${query}`, this.header(user));
  }
  // Create, register everybody, and return the status body of the completed session.
  async complete(policies = []) {
    const created = await this.create();
    if (created.status !== 200) throw new Error(`create: ${created.text}`);
    const slots = await this.slots();
    for (const [i, user] of this.users.entries()) {
      const registered = await this.register(user, policies[i], slots);
      if (registered.status !== 200) throw new Error(`register: ${registered.text}`);
    }
    const status = await this.status();
    if (status.json?.status !== 'completed') throw new Error(`not completed: ${status.text}`);
    this.key = Buffer.from(status.json.aggregate_public_key);
    return status.json;
  }
  signingBody(message, id = newId(), timeout = 1800) {
    return { signing_session_id: id, keygen_session_id: this.id, message_hash: numbers(message), encrypted_message: hex(message), timeout_secs: timeout };
  }
  sign(message, id, user) {
    return this.appliance.post('/signing', this.signingBody(message, id), this.header(user));
  }
  signingStatus(id, user = this.users[0], query = '') {
    return this.appliance.get(`/signing/${id}/status${query}`, { 'X-Signing-HMAC': user.signingHeader() });
  }
  approve(id, user, bound) {
    const headers = { 'X-Signing-HMAC': user.signingHeader() };
    return bound ? this.appliance.post(`/signing/${id}`, bound, headers) : this.appliance.raw('POST', `/signing/${id}`, { headers });
  }
  reject(id, user) {
    return this.appliance.raw('DELETE', `/signing/${id}`, { headers: { 'X-Signing-HMAC': user.signingHeader() } });
  }
  // Waits for the end and returns the status body; verifies a signature.
  async finish(id, message) {
    for (let tries = 0; tries < 20; ++tries) {
      const { json, text } = await this.signingStatus(id, this.users[0], '?wait=5');
      if (json?.status === 'failed') return json;
      if (json?.status === 'completed') {
        const signature = openData(this.secret, 'signature', json.final_signature);
        if (!schnorr.verify(signature, message, this.key.subarray(1))) throw new Error('the final signature does not verify');
        return json;
      }
      if (!json?.status) throw new Error(text);
    }
    throw new Error('the session did not end');
  }
}
