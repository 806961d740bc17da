// Starts a fleet (simulated enclaves and an appliance, real processes) by the test program fleet_host, and stops it.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export async function startFleet({ enclaves = 3, limits = {} } = {}) {
  const program = `${process.env.KEYMELD_BUILD_DIR}/bin/tests/fleet_host`;
  const options = Object.entries(limits).map(([name, value]) => `--limit=${name}=${value}`);
  const child = spawn(program, [`--enclaves=${enclaves}`, ...options], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done) throw new Error('fleet_host ended before the fleet was ready');
  const ready = JSON.parse(first.value);
  const ended = new Promise((resolve) => child.on('exit', resolve));
  return {
    ...ready,
    // Tells fleet_host to do something ("kill-appliance", "start-appliance", "kill-enclave 1", "start-enclave 1") and waits until it is done.
    async tell(command) {
      child.stdin.write(`${command}\n`);
      const answer = await lines.next();
      if (answer.done || answer.value !== 'ok') throw new Error(`fleet_host: ${command}: ${answer.value}`);
    },
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}
