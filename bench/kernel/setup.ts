/** The setup and the answers of the client of `bench -- kernel`. */

export interface Setup {
  readonly transport: 'vhost-user' | 'tap';
  /** Path of the socket, or name of an existing interface. */
  readonly name: string;
  readonly cpu: number;
}

export interface Run {
  /** Number of requests that were answered. */
  readonly requests: number;
  readonly seconds: number;
}

/** The addresses of client and server. */
export const CLIENT = { ip: '10.0.0.2', mac: '52:54:00:00:00:02' } as const;
export const SERVER = { ip: '10.0.0.1', mac: '52:54:00:00:00:01' } as const;
