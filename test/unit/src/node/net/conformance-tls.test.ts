import { conform } from '../../../../support/node/conform.js';
import { HTTP2, TLS } from '../../../../support/node/scenarios/tls.js';

conform('TLS over sockets does as over the kernel', TLS);
conform('HTTP/2 over sockets does as over the kernel', HTTP2);
