import { conform } from '../../../../support/node/conform.js';
import { HTTP } from '../../../../support/node/scenarios/http.js';

conform('http over sockets does as over the kernel', HTTP);
