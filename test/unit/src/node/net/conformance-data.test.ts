import { conform } from '../../../../support/node/conform.js';
import { DATA } from '../../../../support/node/scenarios/data.js';

conform('data goes through sockets as it does over the kernel', DATA);
