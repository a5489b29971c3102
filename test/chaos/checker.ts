import { answerRules } from './checks/answers.js'
import { healthRules } from './checks/health.js'
import { operationRules } from './checks/operations.js'
import { unavailableRules } from './checks/unavailable.js'
import type { History } from './history.js'

/** What the gateways were set to; durations in milliseconds. */
export interface Limits {
  readonly storeTimeoutMs: number
  readonly publishTimeoutMs: number
  /** What every bound is given on top. */
  readonly graceMs: number
  /** How long after a healing each gateway may take to its first success. */
  readonly healMs: number
  readonly gateways: number
}

/** One thing that must not be. */
export interface Violation {
  readonly rule: string
  readonly text: string
}

/** Judges a history by one rule. */
export type Rule = (history: History, limits: Limits) => Iterable<string>

const RULES: Readonly<Record<string, Rule>> = {
  ...operationRules,
  ...answerRules,
  ...unavailableRules,
  ...healthRules,
}

/** Everything in the history that must not be. */
export function violationsOf(history: History, limits: Limits): Violation[] {
  return Object.entries(RULES).flatMap(([rule, check]) => [...check(history, limits)].map((text) => ({ rule, text })))
}
