/** Waits for a call, but not for ever: what it comes to later is passed over. @throws what `late` makes */
export async function within<T>(ms: number, call: Promise<T>, late: () => Error): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const end = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(late()), ms)
  })
  try {
    return await Promise.race([call, end])
  } finally {
    clearTimeout(timer)
  }
}
