// graphql-eslint over the printed schema.
import { ESLint } from "eslint";
import { given, play } from "./given.mjs";

await play({
  async schema() {
    const eslint = new ESLint({ cwd: given.root, overrideConfigFile: `${import.meta.dirname}/eslint.config.mjs` });
    const [result] = await eslint.lintFiles([given.schema]);
    return result.messages.map(({ ruleId, line, message }) => `${line} ${ruleId}: ${message}`);
  },
});
