// Headless Chromium spoken to over its debugging pipe: no driver package, no port, nothing resolved but 127.0.0.1.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { access, constants } from 'node:fs/promises';

async function findBrowser() {
  const names = ['chromium', 'chromium-browser', 'google-chrome'];
  for (const folder of (process.env.PATH ?? '').split(delimiter))
    for (const name of names) {
      const program = join(folder, name);
      if (await access(program, constants.X_OK).then(() => true, () => false)) return program;
    }
  throw new Error(`none of ${names.join(', ')} is in the PATH: run scripts/setup --tests`);
}

export async function startBrowser() {
  const profile = await mkdtemp(join(tmpdir(), 'keymeld-chromium-'));
  const child = spawn(await findBrowser(), [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--disable-default-apps', '--disable-dev-shm-usage', '--remote-debugging-pipe',
    '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1', `--user-data-dir=${profile}`, 'about:blank',
  ], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
  const ended = new Promise((resolve) => child.on('exit', resolve));
  const [, , , toBrowser, fromBrowser] = child.stdio;
  const pending = new Map();
  const listeners = new Set();
  let lastId = 0;
  let text = '';
  fromBrowser.setEncoding('utf8');
  fromBrowser.on('data', (part) => {
    text += part;
    for (let end; (end = text.indexOf('\0')) >= 0; text = text.slice(end + 1)) {
      const message = JSON.parse(text.slice(0, end));
      if (message.id === undefined) {
        for (const listener of listeners) listener(message);
        continue;
      }
      const { resolve, reject } = pending.get(message.id);
      pending.delete(message.id);
      if (message.error) reject(new Error(`${message.error.message} ${message.error.data ?? ''}`));
      else resolve(message.result);
    }
  });
  ended.then(() => {
    for (const { reject } of pending.values()) reject(new Error('the browser has ended'));
    pending.clear();
  });
  const call = (method, params = {}, sessionId) => new Promise((resolve, reject) => {
    pending.set(++lastId, { resolve, reject });
    toBrowser.write(`${JSON.stringify({ id: lastId, method, params, sessionId })}\0`);
  });
  return {
    // A page: call(method, params), evaluate(expression), and the events of it so far by method.
    async newPage() {
      const { targetId } = await call('Target.createTarget', { url: 'about:blank' });
      const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
      const events = [];
      listeners.add((message) => message.sessionId === sessionId && events.push(message));
      const page = {
        events: (method) => events.filter((event) => event.method === method).map((event) => event.params),
        call: (method, params) => call(method, params, sessionId),
        async evaluate(expression) {
          const { result, exceptionDetails } = await page.call('Runtime.evaluate', { expression, returnByValue: true, awaitPromise: true });
          if (exceptionDetails) throw new Error(`${exceptionDetails.text} ${exceptionDetails.exception?.description ?? ''}`);
          return result.value;
        },
        // Until the expression is true.
        async until(expression, milliseconds = 120_000) {
          for (const end = Date.now() + milliseconds; Date.now() < end;) {
            if (await page.evaluate(expression)) return;
            await new Promise((resolve) => setTimeout(resolve, 100));
          }
          throw new Error(`not within ${milliseconds} ms: ${expression}`);
        },
      };
      for (const domain of ['Page', 'Network', 'Runtime', 'Log']) await page.call(`${domain}.enable`);
      return page;
    },
    async close() {
      await call('Browser.close').catch(() => {});
      const killer = setTimeout(() => child.kill('SIGKILL'), 5000);
      await ended;
      clearTimeout(killer);
      await rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}
