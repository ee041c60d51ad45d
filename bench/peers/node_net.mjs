// Echo on Node's net, as its users write it. Variants: data (the default) and pipe.
import net from 'node:net';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    variant: { type: 'string', default: 'data' },
  },
});

const variants = {
  data: (socket) => socket.on('data', (chunk) => socket.write(chunk)),
  pipe: (socket) => socket.pipe(socket),
};

const server = net.createServer(variants[values.variant]);
server.listen(Number(values.port), '127.0.0.1', () => console.log(server.address().port));
