// Older releases that are supported, under other names; they have no types of their own.
declare module 'amqplib010' {
  import amqplib from 'amqplib'
  export default amqplib
}

declare module 'amqplib1' {
  import amqplib from 'amqplib'
  export default amqplib
}
