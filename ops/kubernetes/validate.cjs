// Checks what kustomize made against the schemas of the Prometheus operator, which those of
// Kubernetes itself do not know: node validate.cjs FOLDER < manifests.json, with npm's packages in
// the folder. Called by ops/test.sh.
const fs = require("fs");
const path = require("path");

const models = path.join(process.argv[2], "node_modules/@kubernetes-models/prometheus-operator");
const documents = JSON.parse(fs.readFileSync(0, "utf8"));
const own = documents.filter((document) => document.apiVersion.startsWith("monitoring.coreos.com/"));
if (own.length === 0) throw new Error("there is nothing for the Prometheus operator");
for (const document of own) {
  const module = require(path.join(models, document.apiVersion, `${document.kind}.js`));
  new module[document.kind](document).validate();
  console.log(`${document.kind}/${document.metadata.name} is valid`);
}
