/** Why the processes of this machine cannot be listed; undefined when they can. */
export declare function whyNoProcessTable(): string | undefined
/** A process and everything below it, itself first. */
export declare function processTree(root: number): number[]
