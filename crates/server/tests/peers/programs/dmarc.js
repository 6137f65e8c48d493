// What mailauth makes of a case: { zone: { name: [text] }, broken: [name], from, spf, dkim } on standard input.
'use strict';

// Its rooms are not exported, but stand where they stand.
const path = require('node:path');
const verify = require(path.join(path.dirname(require.resolve('mailauth')), 'dmarc', 'verify.js'));
const given = JSON.parse(require('node:fs').readFileSync(0, 'utf8'));

const resolver = async name => {
    if (given.broken.includes(name)) {
        throw Object.assign(new Error('SERVFAIL'), { code: 'ESERVFAIL' });
    }
    if (!given.zone[name]) {
        throw Object.assign(new Error('ENOTFOUND'), { code: 'ENOTFOUND' });
    }
    return given.zone[name].map(text => [text]);
};

const domains = domain => (domain ? [{ domain }] : []);
verify({ headerFrom: [given.from], spfDomains: domains(given.spf), dkimDomains: domains(given.dkim), resolver }).then(found => {
    console.log(JSON.stringify({ result: found.status.result, policy: found.policy || 'none' }));
});
