/**
 * Checks messages against the limits that Slack documents for those parts of Block Kit that messages of ours are made
 * of: https://docs.slack.dev/reference/block-kit/blocks. What it does not know it refuses.
 */

const MAX_BLOCKS = 50;
const MAX_MESSAGE = 40_000;
const MAX_HEADER = 150;
const MAX_TEXT_OBJECT = 3000;
const MAX_FIELD = 2000;
const MAX_FIELDS = 10;
const MAX_ELEMENTS = 10;
const MAX_BLOCK_ID = 255;

type Json = Record<string, unknown>;
type Check = (block: Json, at: string) => string[];

/** What Slack would refuse of a message, as sentences with the place; none when it is fine. */
export function problemsOf(message: unknown): string[] {
  if (!isObject(message)) return ['a message is an object'];
  const { text, blocks } = message;
  const hasText = typeof text === 'string' && text.trim() !== '';
  return [
    ...(hasText || blocks !== undefined ? [] : ['text: a message needs text or blocks']),
    ...(text === undefined || typeof text === 'string' ? [] : ['text: must be a string']),
    ...(typeof text === 'string' && text.length > MAX_MESSAGE ? [`text: longer than ${MAX_MESSAGE}`] : []),
    ...(blocks === undefined ? [] : problemsOfBlocks(blocks)),
  ];
}

/** What Slack would refuse of the blocks of a message. */
export function problemsOfBlocks(blocks: unknown): string[] {
  if (!Array.isArray(blocks)) return ['blocks: must be a list'];
  const ids = blocks.flatMap((block: unknown) => (isObject(block) && block.block_id ? [block.block_id] : []));
  return [
    ...(blocks.length > MAX_BLOCKS ? [`blocks: more than ${MAX_BLOCKS}`] : []),
    ...(new Set(ids).size < ids.length ? ['blocks: a block_id is there twice'] : []),
    ...blocks.flatMap((block: unknown, index) => problemsOfBlock(block, `blocks[${index}]`)),
  ];
}

const CHECKS: Record<string, Check> = {
  header: ({ text }, at) => textObject(text, `${at}.text`, MAX_HEADER, ['plain_text']),
  section,
  context: ({ elements }, at) => list(elements, `${at}.elements`, MAX_ELEMENTS, MAX_TEXT_OBJECT),
  divider: () => [],
};

const MEMBERS: Record<string, readonly string[]> = {
  header: ['text'],
  section: ['text', 'fields', 'expand'],
  context: ['elements'],
  divider: [],
};

function problemsOfBlock(block: unknown, at: string): string[] {
  if (!isObject(block) || typeof block.type !== 'string') return [`${at}: must be an object with a type`];
  const check = CHECKS[block.type];
  if (!check) return [`${at}.type: unknown block ${block.type}`];
  const { block_id: id } = block;
  const isIdFine = id === undefined || (typeof id === 'string' && id.length <= MAX_BLOCK_ID);
  return [
    ...unknownMembers(block, at, ['type', 'block_id', ...(MEMBERS[block.type] ?? [])]),
    ...(isIdFine ? [] : [`${at}.block_id: must be a string of at most ${MAX_BLOCK_ID} characters`]),
    ...check(block, at),
  ];
}

function section({ text, fields }: Json, at: string): string[] {
  return [
    ...(text === undefined && fields === undefined ? [`${at}: needs text or fields`] : []),
    ...(text === undefined ? [] : textObject(text, `${at}.text`, MAX_TEXT_OBJECT)),
    ...(fields === undefined ? [] : list(fields, `${at}.fields`, MAX_FIELDS, MAX_FIELD)),
  ];
}

function list(items: unknown, at: string, most: number, longest: number): string[] {
  if (!Array.isArray(items) || items.length === 0) return [`${at}: must be a list with something in it`];
  return [
    ...(items.length > most ? [`${at}: more than ${most}`] : []),
    ...items.flatMap((item: unknown, index) => textObject(item, `${at}[${index}]`, longest)),
  ];
}

function textObject(object: unknown, at: string, most: number, types = ['plain_text', 'mrkdwn']): string[] {
  if (!isObject(object)) return [`${at}: must be an object`];
  const { type, text } = object;
  if (typeof type !== 'string' || !types.includes(type)) return [`${at}.type: must be ${types.join(' or ')}`];
  const members = ['type', 'text', type === 'mrkdwn' ? 'verbatim' : 'emoji'];
  const unknown = unknownMembers(object, at, members);
  if (typeof text !== 'string' || text.length === 0) return [...unknown, `${at}.text: must be a text`];
  return [...unknown, ...(text.length > most ? [`${at}.text: longer than ${most}`] : [])];
}

const unknownMembers = (object: Json, at: string, known: readonly string[]): string[] =>
  Object.keys(object)
    .filter((key) => !known.includes(key))
    .map((key) => `${at}.${key}: unknown member`);

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
