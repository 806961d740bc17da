// The documentation viewer in a real browser: it shows every operation, can try one, and asks nobody but this server.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { startBrowser } from '../lib/chromium.mjs';
import { startFleet } from '../lib/fleet.mjs';
import { Appliance } from '../lib/keymeld.mjs';

let fleet, browser, page, document;
before(async () => {
  fleet = await startFleet({ enclaves: 1 });
  const appliance = new Appliance(fleet.url);
  document = (await appliance.get('/openapi.json')).json;
  appliance.close();
  browser = await startBrowser();
  page = await browser.newPage();
  await page.call('Page.navigate', { url: `${fleet.url}/api/v1/docs` });
});
after(async () => {
  await browser?.close();
  await fleet?.stop();
});

test('every operation is shown', async () => {
  const operations = Object.entries(document.paths).flatMap(([path, item]) => Object.keys(item).map((method) => `${method.toUpperCase()} ${path}`));
  assert.ok(operations.length >= 20);
  await page.until(`document.querySelectorAll('.opblock').length === ${operations.length}`);
  // The viewer puts zero-width spaces into long paths.
  const shown = await page.evaluate(`[...document.querySelectorAll('.opblock')].map((block) =>
    block.querySelector('.opblock-summary-method').textContent + ' ' + block.querySelector('.opblock-summary-path').textContent.replace(/\\u200b/g, ''))`);
  assert.deepEqual(shown.sort(), operations.sort());
  assert.equal(await page.evaluate(`document.querySelector('.info .title').firstChild.textContent.trim()`), 'KeyMeld Gateway API');
  const { data } = await page.call('Page.captureScreenshot', { format: 'png' });
  if (process.env.KEYMELD_SCREENSHOT) await writeFile(process.env.KEYMELD_SCREENSHOT, Buffer.from(data, 'base64'));
});

test('an operation can be tried', async () => {
  const block = `document.getElementById('operations-operations-get_health')`;
  await page.evaluate(`${block}.querySelector('.opblock-summary-control').click()`);
  await page.until(`${block}.querySelector('.try-out__btn') !== null`);
  await page.evaluate(`${block}.querySelector('.try-out__btn').click()`);
  await page.until(`${block}.querySelector('.execute') !== null`);
  await page.evaluate(`${block}.querySelector('.execute').click()`);
  await page.until(`${block}.querySelector('.live-responses-table tbody .response-col_status')?.textContent.startsWith('200')`);
  assert.match(await page.evaluate(`${block}.querySelector('.live-responses-table').textContent`), /"status": "healthy"/);
});

test('nothing was asked elsewhere, and nothing broke the policy', () => {
  const requests = page.events('Network.requestWillBeSent').map((event) => event.request.url);
  assert.ok(requests.filter((url) => url.startsWith(`${fleet.url}/api/v1/`)).length >= 6, requests.join('\n'));
  assert.deepEqual(requests.filter((url) => !url.startsWith(`${fleet.url}/api/v1/`) && !url.startsWith('data:') && url !== 'about:blank'), []);
  const answers = page.events('Network.responseReceived').map(({ response }) => `${response.status} ${response.url}`);
  assert.deepEqual(answers.filter((line) => !line.startsWith('200 ')), []);
  const logged = page.events('Log.entryAdded').map(({ entry }) => `${entry.source} ${entry.level} ${entry.text}`);
  assert.deepEqual(logged.filter((line) => / error | warning /.test(line)), []);
  assert.deepEqual(page.events('Runtime.exceptionThrown').map((event) => event.exceptionDetails.text), []);
});
