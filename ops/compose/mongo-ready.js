// Run by the composition's mongo until it ends with 0: makes the replica set and the service's
// user, once, and says whether both are there.
const admin = db.getSiblingDB("admin");
if (!admin.hello().setName) {
  rs.initiate({ _id: "rs0", members: [{ _id: 0, host: "mongo:27017" }] });
  quit(1);
}
if (!admin.hello().isWritablePrimary) quit(1);
const own = db.getSiblingDB("orchestrator");
if (!own.getUser("orchestrator")) {
  const pwd = require("fs").readFileSync("/run/secrets/mongo_password", "utf8").trim();
  own.createUser({ user: "orchestrator", pwd, roles: [{ role: "readWrite", db: "orchestrator" }] });
}
