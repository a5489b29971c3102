export { type MemoryStoreOptions, memoryStore } from './stores/memory/index.js'
export { type MemoryTransport, type MemoryTransportOptions, memoryTransport } from './transports/memory/index.js'
