export { isAccepted, type OperationDocument, type Problem, readProblem } from './answers.js'
export { FollowError, type FollowOptions, follow, type ResumeOptions, resume } from './follow.js'
