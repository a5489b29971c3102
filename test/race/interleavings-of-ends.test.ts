import { edge } from './scenarios/edge.js'
import { endings } from './scenarios/endings.js'
import { describeScenarios } from './support/describe-scenarios.js'

// A file of its own, so that the deep run has two of them to play side by side.
describeScenarios([...endings, ...edge])
