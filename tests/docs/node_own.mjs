// Prints the public names that Node itself has for what tailrace has: OWNER NAME...
//
//     node tests/docs/node_own.mjs > tests/docs/node_own.txt
//
// Left out: names that begin with an underscore and what every function has. Of symbols those that
// the language knows are shown, as [Symbol.asyncIterator].

import child_process from 'node:child_process';
import cluster from 'node:cluster';
import dns from 'node:dns';
import events from 'node:events';
import net from 'node:net';
import stream from 'node:stream';
import tls from 'node:tls';

const owners = {
  net,
  Server: net.Server.prototype,
  'Server.own': net.createServer(),
  'Server.static': net.Server,
  Socket: net.Socket.prototype,
  'Socket.own': new net.Socket(),
  'Socket.static': net.Socket,
  BoundSocket: net.BoundSocket?.prototype,
  'BoundSocket.static': net.BoundSocket,
  BlockList: net.BlockList.prototype,
  'BlockList.static': net.BlockList,
  SocketAddress: net.SocketAddress.prototype,
  'SocketAddress.static': net.SocketAddress,
  stream,
  'stream.promises': stream.promises,
  Stream: stream.Stream.prototype,
  'Stream.static': stream.Stream,
  Readable: stream.Readable.prototype,
  'Readable.own': new stream.Readable(),
  'Readable.static': stream.Readable,
  Writable: stream.Writable.prototype,
  'Writable.own': new stream.Writable(),
  'Writable.static': stream.Writable,
  Duplex: stream.Duplex.prototype,
  'Duplex.own': new stream.Duplex(),
  'Duplex.static': stream.Duplex,
  Transform: stream.Transform.prototype,
  'Transform.static': stream.Transform,
  PassThrough: stream.PassThrough.prototype,
  'PassThrough.static': stream.PassThrough,
  events,
  EventEmitter: events.EventEmitter.prototype,
  'EventEmitter.own': new events.EventEmitter(),
  tls,
  TLSSocket: tls.TLSSocket.prototype,
  'TLSSocket.own': new tls.TLSSocket(new net.Socket()),
  'TLSSocket.static': tls.TLSSocket,
  'tls.Server': tls.Server.prototype,
  'tls.Server.own': tls.createServer(),
  'tls.Server.static': tls.Server,
  SecureContext: tls.SecureContext?.prototype,
  'SecureContext.own': tls.createSecureContext(),
  dns,
  cluster,
  Worker: cluster.Worker.prototype,
  child_process,
  ChildProcess: child_process.ChildProcess.prototype,
};
const known = new Set(Object.getOwnPropertyNames(Symbol).map((name) => Symbol[name]));
const common = new Set(['constructor', 'length', 'name', 'prototype']);

console.log(`# Node ${process.version}; made by tests/docs/node_own.mjs`);
for (const [owner, thing] of Object.entries(owners)) {
  if (!thing) continue; // an older Node
  const symbols = Object.getOwnPropertySymbols(thing).filter((one) => known.has(one));
  const names = Object.getOwnPropertyNames(thing).concat(symbols.map((one) => `[${one.description}]`));
  console.log(owner, ...names.filter((n) => !n.startsWith('_') && !common.has(n)).sort());
}
