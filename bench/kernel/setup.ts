/** What the client of `bench -- kernel` is told, and what it answers. */

export interface Setup {
  readonly transport: 'vhost-user' | 'tap';
  /** Socket, or name of an interface that exists. */
  readonly name: string;
  readonly cpu: number;
}

export interface Run {
  /** Answers. */
  readonly requests: number;
  readonly seconds: number;
}

/** Who is who, on either link. */
export const CLIENT = { ip: '10.0.0.2', mac: '52:54:00:00:00:02' } as const;
export const SERVER = { ip: '10.0.0.1', mac: '52:54:00:00:00:01' } as const;
