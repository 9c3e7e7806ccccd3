// What can be asked? The server's own OpenAPI description, as a page.
const make = (tag, text, className) => {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
};
const described = await (await fetch("/openapi.json")).json();
const resolve = (schema) =>
  schema?.$ref ? schema.$ref.split("/").slice(1).reduce((at, key) => at[key], described) : schema;
const kind = (given) => {
  const schema = resolve(given) ?? {};
  const one = schema.anyOf?.find((option) => option.type !== "null") ?? schema;
  if (one.type === "array") return `list of ${kind(one.items)}`;
  const bounds = ["minimum", "maximum", "minLength", "maxLength"]
    .filter((name) => one[name] !== undefined).map((name) => `${name} ${one[name]}`);
  return [one.format ?? one.contentMediaType ?? resolve(one)?.type ?? "any", ...bounds].join(", ");
};
const list = document.getElementById("list");
list.replaceChildren();
for (const [path, methods] of Object.entries(described.paths)) {
  for (const [method, facts] of Object.entries(methods)) {
    const section = make("section");
    const heading = make("h2");
    heading.append(make("span", method.toUpperCase(), "pill"), ` ${path}`);
    section.append(heading, make("p", facts.description ?? facts.summary));
    const rows = (facts.parameters ?? []).map((p) => [p.name, p.schema, p.required, p.description]);
    for (const body of Object.values(facts.requestBody?.content ?? {})) {
      const schema = resolve(body.schema);
      for (const [name, field] of Object.entries(schema.properties ?? {}))
        rows.push([name, field, schema.required?.includes(name), field.description]);
    }
    const terms = make("dl");
    for (const [name, schema, required, description] of rows) {
      terms.append(make("dt", required ? `${name} (needed)` : name));
      terms.append(make("dd", [kind(schema), description].filter(Boolean).join(": ")));
    }
    section.append(terms);
    list.append(section);
  }
}
