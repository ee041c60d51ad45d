// Calls what arguments.py asks for on Node, and prints what came of it: one case a line in and out.
import dns from 'node:dns';
import net from 'node:net';
import stream from 'node:stream';
import events from 'node:events';
import { readFileSync } from 'node:fs';

const SPECIAL = {
  undefined: () => undefined,
  null: () => null,
  nan: () => NaN,
  inf: () => Infinity,
  '-inf': () => -Infinity,
  big: () => 1e30,
  function: () => () => {},
  bytes: () => Buffer.from('ab'),
};

let noted = [];
const real = dns.lookup;
dns.lookup = (host, options, callback) => {
  real(typeof host === 'string' ? '127.0.0.1' : host, options, () => {}); // it checks its arguments
  // An address is its own answer.
  if (!net.isIP(host)) noted.push(['lookup', shown(host), options.family || 0, options.hints || 0]);
  const found = [{ address: net.isIP(host) ? host : '127.0.0.1', family: net.isIP(host) || 4 }];
  if (options.all) process.nextTick(callback, null, found);
  else process.nextTick(callback, null, found[0].address, found[0].family);
};

function shown(value, target) {
  if (value === undefined || value === null) return null;
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (['string', 'boolean'].includes(typeof value)) return value;
  if (Buffer.isBuffer(value)) return `b:${value.toString('hex')}`;
  return value === target ? 'this' : 'object';
}

function value(given, tried) {
  if (given === '@') return tried;
  if (given === '@f') return () => {};
  if (given && typeof given === 'object' && !Array.isArray(given)) {
    return Object.fromEntries(Object.entries(given).map(([k, v]) => [k, value(v, tried)]));
  }
  return given;
}

const KINDS = {
  net: () => net,
  events: () => events,
  stream: () => stream,
  Socket: () => new net.Socket(),
  Server: () => {
    const server = net.createServer();
    // What the system is asked for, and nothing more: ports and files are not this table's business.
    server._listen2 = (address, port, type, backlog) => {
      noted.push(['listen', shown(address), port, type, (backlog || 511) | 0]);
    };
    return server;
  },
  BlockList: () => new net.BlockList(),
  EventEmitter: () => new events.EventEmitter(),
  Readable: () => {
    const one = new stream.Readable({ read() {} });
    one.push('abcdef');
    return one;
  },
  Writable: () => new stream.Writable({ write(chunk, encoding, done) { noted.push(['write', shown(chunk), encoding]); done(); } }),
};

async function play({ kind, fn, args, after, tried }) {
  noted = [];
  const given = tried && typeof tried === 'object' && '$' in tried ? SPECIAL[tried.$]() : tried;
  let target = KINDS[kind]();
  if (target instanceof events.EventEmitter) {
    target.on('error', (error) => noted.push(['error', error?.code ?? 'no code']));
    target.on('connectionAttempt', (...found) => {
      noted.push(['attempt', ...found]);
      process.nextTick(() => target.destroy());
    });
  }
  let result;
  try {
    const passed = args.map((one) => value(one, given));
    if (fn.startsWith('new ')) result = new net[fn.slice(4)](...passed);
    else if (fn.startsWith('stream.')) result = new stream[fn.slice(7)](...passed);
    else if (fn.startsWith('set ')) target[fn.slice(4)] = passed[0];
    else result = target[fn](...passed);
  } catch (error) {
    return ['throws', error.code ?? error.name];
  }
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve));
  if (target === net || target === events || target === stream) target = result;
  const told = after.map((name) => shown(typeof target?.[name] === 'function' ? target[name]() : target?.[name]));
  const out = ['gives', shown(result, target), ...(told.length ? [told] : []), ...noted];
  if (target?.destroy) target.destroy();
  return out;
}

process.on('uncaughtException', (error) => noted.push(['uncaught', error.code ?? error.name]));
for (const line of readFileSync(0, 'utf8').trimEnd().split('\n')) {
  process.stdout.write(`${JSON.stringify(await play(JSON.parse(line)))}\n`);
}
