// Plays programs of streams and emitters, as streams.py makes them, and prints what happened.
//   node stream_player.mjs < programs.jsonl > traces.jsonl
// One line in, one line out. Nothing here waits for a time: a turn is one setImmediate().
import { EventEmitter } from 'node:events';
import * as events from 'node:events';
import stream from 'node:stream';
import { createInterface } from 'node:readline';

process.on('warning', (warning) => {
  if (!playing || warning.name !== 'MaxListenersExceededWarning') return;
  const type = typeof warning.type === 'symbol' ? 'symbol' : warning.type;
  playing.log('~warned', type, warning.count);
});
const TURNS = 40;
let playing = null;

function shown(player, value) {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return `s:${value}`;
  if (typeof value === 'number' || typeof value === 'boolean') return value;
  if (value instanceof Error) return `e:${value.code && typeof value.code === 'string' ? value.code : value.message}`;
  if (Buffer.isBuffer(value) || value instanceof Uint8Array) return `b:${Buffer.from(value).toString('hex')}`;
  if (typeof value === 'symbol') return `y:${value.description}`;
  const name = player.names.get(value);
  if (name) return `<${name}>`;
  if (typeof value === 'function') return `f:${value.shown ?? (value.listener && value.listener.shown) ?? '?'}`;
  if (Array.isArray(value)) return value.map((one) => shown(player, one));
  if (value && 'chunk' in value && 'encoding' in value) return [shown(player, value.chunk), value.encoding];
  if (value instanceof EventEmitter) return '<stream>';
  return '?';
}

class Player {
  constructor(program, done) {
    this.program = program;
    this.done = done;
    this.trace = [];
    this.names = new Map();
    this.things = new Map();
    this.functions = new Map();
    this.over = false;
  }

  log(...entry) {
    if (this.over) return;
    if (this.trace.length > 600) this.stop('overflow');
    else this.trace.push(entry);
  }

  stop(why) {
    if (this.over) return;
    this.trace.push(['stop', why]);
    this.over = true;
    this.done(this.trace);
  }

  value(given, env) {
    if (given === null || typeof given !== 'object') return given;
    if (Array.isArray(given)) return given.map((one) => this.value(one, env));
    if ('$b' in given) return Buffer.from(given.$b, 'hex');
    if ('$e' in given) return new Error(given.$e);
    if ('$s' in given) return this.things.get(given.$s);
    if ('$f' in given) return this.callback(given);
    if ('$signal' in given) return this.things.get(given.$signal).signal;
    if ('$monitor' in given) return events.errorMonitor;
    if ('$items' in given) return this.items(given);
    if ('$gen' in given) return this.generator(given);
    return Object.fromEntries(Object.entries(given).map(([key, one]) => [key, this.value(one, env)]));
  }

  // A function that notes its call and may do something; the same id is the same function.
  callback(given) {
    const known = this.functions.get(given.$f);
    if (known) return known;
    let count = 0;
    const fn = (...args) => {
      const told = args.slice(0, given.take ?? 3);
      // Python has one value for a missing argument and for null.
      while (told.length && (told.at(-1) === null || told.at(-1) === undefined)) told.pop();
      if (!given.still) this.log('call', given.$f, shown(this, told));
      count += 1;
      if (given.do && count <= (given.times ?? 1)) this.run(given.do, { args });
      if (given.throws) throw new Error(given.throws);
      if (given.rejects) return Promise.reject(new Error(given.rejects));
      if (given.later) {
        const gives = given.echo ? args[0] : this.value(given.gives, {});
        return new Promise((resolve) => setImmediate(resolve, gives));
      }
      if (given.echo) return args[0];
      return given.gives === undefined ? undefined : this.value(given.gives, {});
    };
    fn.shown = given.$f;
    this.functions.set(given.$f, fn);
    return fn;
  }

  // An iterable of items, plain or asynchronous.
  items(given) {
    const player = this;
    if (given.async) {
      return (async function* () {
        try {
          for (const one of given.$items) {
            if (one && one.$throw) throw new Error(one.$throw);
            yield player.value(one, {});
          }
        } finally {
          if (!given.still) player.log('iterator closed');
        }
      })();
    }
    return (function* () {
      for (const one of given.$items) {
        if (one && one.$throw) throw new Error(one.$throw);
        yield player.value(one, {});
      }
    })();
  }

  // A generator or consumer for pipeline() and compose().
  generator(given) {
    const player = this;
    if (given.$gen === 'sink') {
      return async (source) => {
        let count = 0;
        for await (const chunk of source) {
          player.log('sink', shown(player, chunk));
          count += 1;
          if (given.fails === count) throw new Error('sink failed');
          if (given.leaves === count) break;
        }
        return given.gives;
      };
    }
    return async function* (source) {
      let count = 0;
      for await (const chunk of source) {
        count += 1;
        if (given.fails === count) throw new Error('generator failed');
        if (given.leaves === count) return;
        yield given.$gen === 'double' ? String(chunk) + String(chunk) : chunk;
      }
    };
  }

  options(make) {
    const options = {};
    for (const [key, one] of Object.entries(make.options ?? {})) options[key] = this.value(one, {});
    const self = this;
    for (const [hook, script] of Object.entries(make.hooks ?? {})) {
      let count = 0;
      options[hook] = function(...args) {
        const done = typeof args[args.length - 1] === 'function' ? args.pop() : null;
        self.log(`${make.name}._${hook}`, shown(self, args));
        const body = script[Math.min(count, script.length - 1)];
        count += 1;
        return self.run(body, { done, args, hook: true });
      };
    }
    return options;
  }

  make(step) {
    const name = step.name;
    const options = this.options(step);
    const keep = (thing, as) => { this.things.set(as, thing); this.names.set(thing, as); };
    switch (step.kind) {
      case 'Emitter': keep(new EventEmitter(options), name); break;
      case 'Controller': this.things.set(name, new AbortController()); break;
      case 'from': keep(stream.Readable.from(this.value(step.items, {}), options), name); break;
      case 'pair': {
        const [one, two] = stream.duplexPair(options);
        keep(one, name); keep(two, `${name}2`); break;
      }
      default: {
        // The hooks have a name for the stream before it is there: a signal may have aborted.
        keep(new stream[step.kind](options), name);
      }
    }
  }

  run(steps, env = {}) {
    for (const step of steps) {
      if (this.over) return;
      const result = this.step(step, env);
      if (result === 'leave') return;
    }
  }

  step(step, env) {
    switch (step.op) {
      case 'make':
        try { this.make(step); } catch (error) { this.log('throw', `make ${step.name}`, shown(this, error)); }
        return;
      case 'call': {
        const thing = this.things.get(step.on);
        if (!thing) return;
        const args = (step.args ?? []).map((one) => this.value(one, env));
        const label = `${step.on}.${step.fn}`;
        try {
          const result = thing[step.fn](...args);
          this.log('return', label, step.quiet ? null : shown(this, result));
          if (step.as && result && typeof result.on === 'function' && !this.names.has(result)) {
            this.things.set(step.as, result); this.names.set(result, step.as);
          }
        } catch (error) {
          if (env.rethrow) throw error;
          this.log('throw', label, shown(this, error));
        }
        return;
      }
      case 'get': {
        const thing = this.things.get(step.on);
        if (!thing) return;
        this.log('get', step.on, step.props.map((name) => [name, shown(this, thing[name])]));
        return;
      }
      case 'set': {
        const thing = this.things.get(step.on);
        if (thing) thing[step.prop] = step.value;
        return;
      }
      case 'listen': {
        const thing = this.things.get(step.on);
        if (!thing) return;
        for (const event of step.events) {
          thing.on(event, (...args) => this.log('event', `${step.on} ${event}`, shown(this, args)));
        }
        return;
      }
      case 'fn': {
        const from = step.of === 'events' ? events : stream;
        const args = (step.args ?? []).map((one) => this.value(one, env));
        try {
          const result = from[step.fn](...args);
          if (step.keep) {
            this.things.set(step.keep, { stop: result });
            this.log('return', step.fn);
          } else if (step.as && result && typeof result.on === 'function') {
            this.things.set(step.as, result); this.names.set(result, step.as);
            this.log('return', step.fn);
          } else if (step.quiet) {
            this.log('return', step.fn);
          } else this.log('return', step.fn, shown(this, result));
        } catch (error) {
          this.log('throw', step.fn, shown(this, error));
        }
        return;
      }
      case 'done':
        if (env.done) env.done(...(step.args ?? []).map((one) => this.value(one, env)));
        return;
      case 'tick':
        process.nextTick(() => this.run(step.do, env));
        return;
      case 'turn':
        setImmediate(() => this.run(step.do, env));
        return;
      case 'throw':
        throw new Error(step.message);
      case 'note':
        this.log('note', step.text);
        return;
      case 'await':
        this.wait(step, env);
        return;
      default:
        throw new Error(`no operation ${step.op}`);
    }
  }

  // What is awaited: its own lane of the trace.
  async wait(step, env) {
    const lane = `~${step.lane}`;
    const log = (...entry) => this.log(lane, ...entry);
    try {
      const args = (step.args ?? []).map((one) => this.value(one, env));
      const thing = step.on ? this.things.get(step.on) : null;
      switch (step.what) {
        case 'iterate': {
          const source = step.fn ? thing[step.fn](...args) : thing;
          let count = 0;
          for await (const chunk of source) {
            log('chunk', shown(this, chunk));
            count += 1;
            if (count === step.leaves) break;
            if (count === step.fails) throw new Error('left');
            if (step.do && count === (step.at ?? 1)) this.run(step.do, env);
          }
          log('left');
          return;
        }
        case 'once': log('got', shown(this, await events.once(...args))); return;
        case 'on': {
          let count = 0;
          for await (const one of events.on(...args)) {
            log('got', shown(this, one));
            count += 1;
            if (count === step.leaves) break;
          }
          log('left');
          return;
        }
        case 'method': log('gives', shown(this, await thing[step.fn](...args))); return;
        case 'promises': log('gives', shown(this, await stream.promises[step.fn](...args))); return;
        default: throw new Error(step.what);
      }
    } catch (error) {
      log('raises', shown(this, error));
    }
  }

  start() {
    const { program } = this;
    let turn = 0;
    const next = () => {
      if (this.over) return;
      if (turn < program.turns.length) {
        const steps = program.turns[turn];
        turn += 1;
        try {
          this.run(steps);
        } finally {
          setImmediate(next);
        }
        return;
      }
      turn += 1;
      if (turn > program.turns.length + TURNS) this.finish();
      else setImmediate(next);
    };
    setImmediate(next);
  }

  finish() {
    for (const [name, props] of Object.entries(this.program.last ?? {})) {
      this.step({ op: 'get', on: name, props }, {});
    }
    this.stop('done');
  }
}

process.on('uncaughtException', (error) => {
  if (!playing || playing.over) return;
  playing.log('uncaught', shown(playing, error));
  playing.stop('uncaught');
});

for await (const line of createInterface({ input: process.stdin })) {
  if (!line) continue;
  const program = JSON.parse(line);
  const trace = await new Promise((resolve) => {
    playing = new Player(program, resolve);
    playing.start();
  });
  await new Promise((resolve) => setImmediate(resolve));
  process.stdout.write(`${JSON.stringify(trace)}\n`);
}
