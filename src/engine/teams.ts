/** Who belongs to a team, by the names by which the API server knows them. */
export interface Team {
  users: readonly string[];
  groups: readonly string[];
}

/** Teams by name. One that is not there is the group of its name. */
export type Teams = Readonly<Record<string, Team>>;

/** Somebody who asks for something, as the API server knows them. */
export interface UserInfo {
  username: string;
  uid?: string | undefined;
  groups?: readonly string[] | undefined;
}

/** The first of the approvers that a user is or belongs to. */
export const approverOf = (user: UserInfo, approvers: readonly string[], teams: Teams): string | undefined =>
  approvers.find((approver) => isApprover(user, approver, teams));

function isApprover({ username, groups = [] }: UserInfo, approver: string, teams: Teams): boolean {
  const [kind = '', ...rest] = approver.split(':');
  const name = rest.join(':');
  switch (kind) {
    case 'user':
      return name === username;
    case 'group':
      return groups.includes(name);
    case 'team': {
      const team = Object.hasOwn(teams, name) ? teams[name] : undefined;
      if (!team) return groups.includes(name);
      return team.users.includes(username) || team.groups.some((group) => groups.includes(group));
    }
    default:
      return false;
  }
}
