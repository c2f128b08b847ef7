import { conform } from '../../../../support/node/conform.js';
import { ENDS } from '../../../../support/node/scenarios/ends.js';

conform('sockets end as they do over the kernel', ENDS);
