import { correlation } from './scenarios/correlation.js'
import { publishing } from './scenarios/publishing.js'
import { describeScenarios } from './support/describe-scenarios.js'

describeScenarios([...correlation, ...publishing])
