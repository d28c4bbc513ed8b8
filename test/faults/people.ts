// The people of the campaign: who starts runs, who is asked for approval, and who is not.

/** Somebody, as the API server knows them. */
export interface Person {
  name: string;
  groups: readonly string[];
}

export const PEOPLE = {
  ann: { name: 'ann@example.com', groups: [] },
  ben: { name: 'ben@example.com', groups: [] },
  cas: { name: 'cas@example.com', groups: ['testers'] },
  cid: { name: 'cid@example.com', groups: ['testers'] },
  dan: { name: 'dan@example.com', groups: [] },
  dot: { name: 'dot@example.com', groups: ['on-call'] },
  /** May vote, and nobody asks her. */
  eve: { name: 'eve@example.com', groups: ['sales'] },
} as const satisfies Record<string, Person>;
export type PersonId = keyof typeof PEOPLE;

/** Any of them may start a run. */
export const EVERYBODY = Object.keys(PEOPLE).filter((id): id is PersonId => id in PEOPLE);

/** What the operator is told of teams. One that is not in it, such as `testers`, is the group of its name. */
export const TEAMS = { platform: { users: [PEOPLE.dan.name], groups: ['on-call'] } };

/** Who may be asked, and which people each of them is. */
export const APPROVERS: Readonly<Record<string, readonly PersonId[]>> = {
  'user:ann@example.com': ['ann'],
  'user:ben@example.com': ['ben'],
  'group:testers': ['cas', 'cid'],
  'team:testers': ['cas', 'cid'],
  'team:platform': ['dan', 'dot'],
};

/** All people that these approvers are, each once. */
export const peopleIn = (approvers: readonly string[]): PersonId[] => [
  ...new Set(approvers.flatMap((approver) => APPROVERS[approver] ?? [])),
];
