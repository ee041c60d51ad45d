// Prints the public names that Node itself has for what tailrace has: OWNER NAME...
//
//     node tests/docs/node_own.mjs > tests/docs/node_own.txt
//
// Left out: names that begin with an underscore, symbols, and what every function has.

import child_process from 'node:child_process';
import cluster from 'node:cluster';
import dns from 'node:dns';
import events from 'node:events';
import net from 'node:net';
import stream from 'node:stream';

const owners = {
  net,
  Server: net.Server.prototype,
  'Server.own': net.createServer(),
  Socket: net.Socket.prototype,
  'Socket.own': new net.Socket(),
  BlockList: net.BlockList.prototype,
  'BlockList.static': net.BlockList,
  SocketAddress: net.SocketAddress.prototype,
  'SocketAddress.static': net.SocketAddress,
  stream,
  Readable: stream.Readable.prototype,
  'Readable.static': stream.Readable,
  Writable: stream.Writable.prototype,
  Duplex: stream.Duplex.prototype,
  events,
  EventEmitter: events.EventEmitter.prototype,
  dns,
  cluster,
  Worker: cluster.Worker.prototype,
  child_process,
  ChildProcess: child_process.ChildProcess.prototype,
};
const common = new Set(['constructor', 'length', 'name', 'prototype']);

console.log(`# Node ${process.version}; made by tests/docs/node_own.mjs`);
for (const [owner, thing] of Object.entries(owners)) {
  const names = Object.getOwnPropertyNames(thing);
  console.log(owner, ...names.filter((n) => !n.startsWith('_') && !common.has(n)).sort());
}
