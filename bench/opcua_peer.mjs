// opcua_peer.mjs - node-opcua in the places of our server and our client, for bench/opcua.sh: the same nodes, the same line of figures.
//
//   node opcua_peer.mjs serve [items] [everyMs]            prints its url
//   node opcua_peer.mjs watch URL PID [items] [publishMs] [seconds]
//   node opcua_peer.mjs read  URL PID [items] [seconds]
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
const require = createRequire(new URL('../tests/e2e/', import.meta.url))
const [mode, ...rest] = process.argv.slice(2)

const peerUs = (pid) => {
  const after = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').pop().split(' ')
  return (Number(after[11]) + Number(after[12])) * 10000
}
const dirty = () => Number(/Private_Dirty: +(\d+)/.exec(readFileSync('/proc/self/smaps_rollup', 'utf8'))[1])
const cpuUs = () => { const u = process.cpuUsage(); return u.user + u.system }
const line = (got, lost, seconds, cpu, peer, requests) => console.log(`rate ${Math.round(got / seconds)} cpu ${(cpu / got).toFixed(3)} peer ${(peer / got).toFixed(3)} ` +
  `lost ${lost} rss ${Math.round(process.memoryUsage().rss / 1024)} private ${dirty()} requests ${requests}`)

async function serve(items = 1000, everyMs = 10) {
  const { OPCUAServer } = require('node-opcua-server')
  const { Variant, VariantArrayType, DataType, MessageSecurityMode, SecurityPolicy } = require('node-opcua-client')
  const server = new OPCUAServer({ port: 0, host: '127.0.0.1', resourcePath: '', securityModes: [MessageSecurityMode.None], securityPolicies: [SecurityPolicy.None],
    allowAnonymous: true })
  await server.initialize()
  const space = server.engine.addressSpace
  const ns = space.registerNamespace('urn:bench:items')
  const nodes = []
  for (let i = 0; i < items; i++)
    nodes.push(ns.addVariable({ nodeId: `s=c${i}`, browseName: `c${i}`, organizedBy: space.rootFolder.objects, dataType: 'Int64',
      value: new Variant({ dataType: DataType.Int64, arrayType: VariantArrayType.Scalar, value: [0, 0] }) }))
  await server.start()
  console.log(server.getEndpointUrl().replace(/\/\/[^:/]+/, '//127.0.0.1'))
  let n = 0
  if (everyMs) setInterval(() => { n++; for (const v of nodes) v.setValueFromSource({ dataType: DataType.Int64, arrayType: VariantArrayType.Scalar, value: [0, n] }) }, everyMs)
}

async function connect(url) {
  const { OPCUAClient } = require('node-opcua-client')
  const client = OPCUAClient.create({ endpointMustExist: false, connectionStrategy: { maxRetry: 0 }, requestedSessionTimeout: 60000 })
  await client.connect(url)
  return { client, session: await client.createSession() }
}

async function watch(url, pid, items = 1000, publishMs = 10, seconds = 5) {
  const { AttributeIds, TimestampsToReturn } = require('node-opcua-client')
  const { client, session } = await connect(url)
  const sub = await session.createSubscription2({ requestedPublishingInterval: publishMs, requestedLifetimeCount: 10000, requestedMaxKeepAliveCount: 100,
    maxNotificationsPerPublish: 0, publishingEnabled: true })
  let got = 0, lost = 0
  const last = new Array(items).fill(0)
  await Promise.all(last.map(async (_, i) => {
    const item = await sub.monitor({ nodeId: `ns=2;s=c${i}`, attributeId: AttributeIds.Value }, { samplingInterval: 0, discardOldest: true, queueSize: 100 },
      TimestampsToReturn.Source)
    item.on('changed', (value) => {
      const v = value.value.value[1]
      if (last[i] && v > last[i] + 1) lost += v - last[i] - 1
      last[i] = v
      got++
    })
  }))
  await new Promise((r) => setTimeout(r, 2000))
  got = lost = 0
  const cpu = cpuUs(), peer = peerUs(pid), then = Date.now()
  await new Promise((r) => setTimeout(r, seconds * 1000))
  line(got, lost, (Date.now() - then) / 1000, cpuUs() - cpu, peerUs(pid) - peer, 0)
  await client.disconnect().catch(() => {})
  process.exit(0)
}

async function read(url, pid, items = 1000, seconds = 5) {
  const { AttributeIds } = require('node-opcua-client')
  const { client, session } = await connect(url)
  const ids = Array.from({ length: items }, (_, i) => ({ nodeId: `ns=2;s=c${i}`, attributeId: AttributeIds.Value }))
  let got = 0, requests = 0
  const cpu = cpuUs(), peer = peerUs(pid), then = Date.now()
  while (Date.now() - then < seconds * 1000) { got += (await session.read(ids)).length; requests++ }
  line(got, 0, (Date.now() - then) / 1000, cpuUs() - cpu, peerUs(pid) - peer, requests)
  await client.disconnect().catch(() => {})
  process.exit(0)
}

const number = (x) => (x === undefined ? undefined : Number(x))
if (mode === 'serve') await serve(number(rest[0]), number(rest[1]))
else if (mode === 'watch') await watch(rest[0], rest[1], number(rest[2]), number(rest[3]), number(rest[4]))
else await read(rest[0], rest[1], number(rest[2]), number(rest[3]))
