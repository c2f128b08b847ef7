import { conform } from '../../../../support/node/conform.js';
import { SERVERS } from '../../../../support/node/scenarios/servers.js';

conform('servers do as they do over the kernel', SERVERS);
