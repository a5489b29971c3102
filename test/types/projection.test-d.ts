import { defineProjection } from 'respond-async/read-model'
import { z } from 'zod'

const schemas = { Made: z.object({ id: z.string(), name: z.string() }), Renamed: z.object({ name: z.string() }) }

interface Events {
  Made: { id: string; name: string }
  Renamed: { name: string }
}

// The events of the schemas.
defineProjection({
  name: 'things',
  version: 1,
  events: schemas,
  key: (event) => (event.type === 'Made' ? event.data.id : event.key),
  on: {
    Made: (_: { name: string } | undefined, { data }) => ({ name: data.name }),
    Renamed: (thing, { data }) => thing && { ...thing, name: data.name },
  },
})

defineProjection({
  name: 'things',
  version: 1,
  events: schemas,
  on: {
    // @ts-expect-error no such field
    Made: (_: object | undefined, { data }) => ({ name: data.nam }),
  },
})

// Those of a map of types, with or without schemas that check them.
defineProjection<Events, { name: string }>({
  name: 'things',
  version: 1,
  events: schemas,
  on: { Made: (_, { data }) => ({ name: data.name }) },
})

defineProjection<Events, { name: string }>({
  name: 'things',
  version: 1,
  on: {
    // @ts-expect-error no such field
    Made: (_, { data }) => ({ name: data.nam }),
  },
})

// Of neither: whatever comes, to be narrowed.
defineProjection({
  name: 'things',
  version: 1,
  on: {
    // @ts-expect-error nobody knows what the data are
    Made: (_: object | undefined, { data }) => ({ name: data.name }),
    Renamed: () => ({}),
  },
})
