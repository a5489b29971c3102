import express, { Router, type Request, type Response } from 'express'
import { handle, operations, problems, respond } from 'respond-async/express'
import type { Command, Gateway } from 'respond-async'
interface P { id: string }
declare const command: Command<{ a: string }>
declare const gateway: Gateway<{ A: { a: string } }>
const app = express()
app.post('/teams/:team', (req, res) => respond(command, req, res, { a: req.params.team }))
app.post('/teams/:team', handle(command))
app.post<P>('/x/:id', handle(command))
app.post<P, { ok: true }, { b: number }>('/x/:id', (req, res) => respond(command, req, res, { a: req.params.id }))
app.post('/y', (req: Request<P, unknown, { z: 1 }>, res: Response<{ k: 1 }>) => respond(command, req, res, { a: 'x' }))
app.use('/operations', operations(gateway))
Router().all('/q', handle(command)).use(problems(gateway))
app.use(problems(gateway))
// @ts-expect-error wrong data
app.post('/z', (req, res) => respond(command, req, res, { a: 1 }))
