// Finds a key of the module and signs with it, with graphene-pk11 and asynchronously with pkcs11js. Arguments: module, PIN file, label.
// Fourth argument: the digest, hex. Prints the two signatures, hex.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const graphene = require("graphene-pk11");
const pkcs11js = require("pkcs11js");
const [path, pinFile, label, digestHex] = process.argv.slice(2);
const pin = readFileSync(pinFile, "utf8").trim();
const digest = Buffer.from(digestHex, "hex");

const module = graphene.Module.load(path, "KeyMeld");
module.initialize();
const session = module.getSlots(0).open(graphene.SessionFlag.SERIAL_SESSION);
session.login(pin);
const found = session.find({ class: graphene.ObjectClass.PRIVATE_KEY, label });
if (found.length !== 1) throw new Error(`${found.length} keys`);
const key = found.items(0).toType();
const first = session.createSign("ECDSA", key).once(digest);

const raw = new pkcs11js.PKCS11();
raw.load(path);
raw.C_SignInit(session.handle, { mechanism: pkcs11js.CKM_ECDSA }, key.handle);
const second = await raw.C_SignAsync(session.handle, digest, Buffer.alloc(64));
console.log(first.toString("hex"));
console.log(second.toString("hex"));
session.logout();
session.close();
module.finalize();
