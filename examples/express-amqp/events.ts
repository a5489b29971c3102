/** What gateway and worker tell each other. */
export interface Events {
  'CreateUser::Requested': { username: string }
  'CreateUser::UserCreated': { id: string; username: string }
  'CreateUser::UserNotCreated': { reason: 'duplicate' }
}
