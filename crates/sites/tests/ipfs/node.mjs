// A real node of IPFS for the tests: libp2p on loopback, no bootstrap, no discovery; its RPC at the
// address that is printed. Started as `node node.mjs REPO` beside its `node_modules`.
import { create } from 'ipfs-core'
import { HttpApi } from 'ipfs-http-server'

const local = '/ip4/127.0.0.1/tcp/0'
const node = await create({
  repo: process.argv[2],
  silent: true,
  init: { emptyRepo: true, profiles: ['test'] },
  config: {
    Addresses: { Swarm: [local], API: local, Gateway: local, Delegates: [] },
    Bootstrap: [],
    Discovery: { MDNS: { Enabled: false }, webRTCStar: { Enabled: false } }
  }
})
const api = new HttpApi(node)
await api.start()
console.log(api._apiServers[0].info.uri)
