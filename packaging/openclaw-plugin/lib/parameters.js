/**
 * Parameters of a tool: one schema tells the model what to write and checks what it wrote. OpenClaw checks too, but
 * what is refused here is refused with a sentence that a model can act on.
 */

/** What a model wrote does not fit. */
export class ParameterError extends Error {
  /**
   * @param {string} message what was wrong
   * @param {string} hint what to do
   */
  constructor(message, hint) {
    super(message);
    this.name = "ParameterError";
    this.kind = "invalid_params";
    this.hint = hint;
  }
}

/** A text parameter. */
export const text = (description, more = {}) => ({ type: "string", minLength: 1, description, ...more });
/** A whole number between two bounds, both possible. */
export const whole = (description, minimum, maximum) => ({ type: "integer", minimum, maximum, description });
/** A yes or no. */
export const flag = (description) => ({ type: "boolean", description });
/** One of some words. */
export const oneOf = (description, words) => ({ type: "string", enum: words, description });

/**
 * The schema of a tool: an object that takes nothing but these.
 * @param {Record<string, object>} properties
 * @param {string[]} [required]
 * @returns {object} JSON Schema
 */
export function schema(properties, required = []) {
  return { type: "object", additionalProperties: false, properties, required };
}

/**
 * What was written, checked: unknown names are refused, empty optional texts and nulls count as left out (models fill
 * optional fields so), numbers and flags may be written as text.
 * @param {object} shape what {@link schema} made
 * @param {unknown} written
 * @returns {Record<string, any>}
 * @throws {ParameterError}
 */
export function checked(shape, written) {
  if (written !== undefined && written !== null && (typeof written !== "object" || Array.isArray(written))) {
    throw new ParameterError("the parameters are not an object", "Call the tool again with named parameters.");
  }
  const result = {};
  for (const [name, value] of Object.entries(written ?? {})) {
    const rule = Object.hasOwn(shape.properties, name) ? shape.properties[name] : undefined;
    if (!rule) {
      const names = Object.keys(shape.properties).join(", ");
      throw new ParameterError(`there is no parameter "${cut(name)}"`, `The parameters are: ${names || "none"}.`);
    }
    if (value === null || value === undefined || value === "") continue;
    result[name] = one(name, rule, value);
  }
  for (const name of shape.required) {
    if (result[name] === undefined) {
      throw new ParameterError(`the parameter "${name}" is missing`, `Give it: ${shape.properties[name].description}`);
    }
  }
  return result;
}

function one(name, rule, value) {
  const wrong = (must) => new ParameterError(`"${name}" cannot be ${shown(value)}`, `It must be ${must}.`);
  switch (rule.type) {
    case "boolean":
      if (value === true || value === "true") return true;
      if (value === false || value === "false") return false;
      throw wrong("true or false");
    case "integer": {
      const number = typeof value === "string" && /^-?\d+$/.test(value.trim()) ? Number(value) : value;
      const { minimum, maximum } = rule;
      if (!Number.isSafeInteger(number) || number < minimum || number > maximum) {
        throw wrong(`a whole number from ${minimum} to ${maximum}`);
      }
      return number;
    }
    default:
      if (typeof value !== "string") throw wrong("a text");
      if (rule.enum && !rule.enum.includes(value)) throw wrong(`one of ${rule.enum.join(", ")}`);
      if (!value.trim()) throw wrong("a text that says something");
      return value;
  }
}

function shown(value) {
  const json = JSON.stringify(value);
  return cut(json ?? String(value));
}

function cut(text) {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}
