// The oldest release that is supported, under another name; it has no types of its own.
declare module 'amqplib010' {
  import amqplib from 'amqplib'
  export default amqplib
}
