// One real identity provider (npm oidc-provider, certified) with its own accounts, over TLS on a loopback port.
// node server.mjs PACKAGES DESCRIPTION.json: prints "ready" when it listens; ends with its standard input.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { pathToFileURL } from 'node:url';

const [packages, description] = process.argv.slice(2);
const { Provider } = await import(pathToFileURL(`${packages}/node_modules/oidc-provider/lib/index.js`));
const told = JSON.parse(readFileSync(description, 'utf8'));

const provider = new Provider(told.issuer, {
  clients: [{
    client_id: told.client_id,
    client_secret: told.client_secret,
    redirect_uris: [told.redirect_uri],
    post_logout_redirect_uris: [told.after_logout],
    response_types: ['code'],
    grant_types: ['authorization_code'],
    backchannel_logout_uri: undefined,
  }],
  pkce: { required: () => true },
  claims: {
    openid: ['sub'], profile: ['name', 'preferred_username', 'acr', 'amr', 'auth_time'], email: ['email'], eduperson_assurance: ['eduperson_assurance'],
  },
  scopes: ['openid', 'profile', 'email', 'eduperson_assurance'],
  conformIdTokenClaims: false,
  cookies: { keys: ['only for tests'] },
  jwks: told.jwks,
  features: {
    devInteractions: { enabled: true },
    rpInitiatedLogout: { enabled: true },
    userinfo: { enabled: true },
  },
  ttl: { Session: 3600, Interaction: 600, Grant: 3600, AccessToken: 600, IdToken: 600, AuthorizationCode: 60 },
  // No consent page: a site's own client is trusted.
  async loadExistingGrant(ctx) {
    const id = ctx.oidc.session.grantIdFor(ctx.oidc.client.clientId);
    if (id) return ctx.oidc.provider.Grant.find(id);
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope('openid profile email eduperson_assurance');
    await grant.save();
    return grant;
  },
  async findAccount(ctx, login) {
    const account = told.accounts[login];
    return account && { accountId: login, claims: async () => ({ sub: login, ...account }) };
  },
});

const server = createServer({ cert: readFileSync(told.certificate), key: readFileSync(told.key) }, provider.callback());
server.listen(told.port, '127.0.0.1', () => console.log('ready'));
process.stdin.on('end', () => process.exit(0)).resume();
