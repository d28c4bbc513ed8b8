/** What a request asks of the API server. */
export interface ApiCall {
  verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';
  /** `pods`, `workflowruns/status`, ...; empty for what is no resource, such as `/version`. */
  resource: string;
  /** Empty when it is about no single object. */
  name: string;
  /** Whether a watch or list is of one name only. */
  ofOneName: boolean;
}

const WRITES = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' } as const;

const RESOURCE = new RegExp(
  '^/(?:api/v1|apis/[^/]+/[^/]+)(?:/namespaces/[^/]+)?' +
    '/(?<plural>[^/]+)(?:/(?<name>[^/]+))?(?:/(?<subresource>[^/]+))?$',
);

/** @param target path and query of the request */
export function apiCall(method: string, target: string): ApiCall {
  const { pathname, searchParams } = new URL(target, 'http://api');
  const { plural = '', name = '', subresource } = RESOURCE.exec(pathname)?.groups ?? {};
  const selected = /^metadata\.name=(.*)$/.exec(searchParams.get('fieldSelector') ?? '')?.[1];
  return {
    verb: verbOf(method, name, searchParams),
    resource: subresource ? `${plural}/${subresource}` : plural,
    name: selected ?? decodeURIComponent(name),
    ofOneName: selected !== undefined,
  };
}

function verbOf(method: string, name: string, query: URLSearchParams): ApiCall['verb'] {
  if (method in WRITES) return WRITES[method as keyof typeof WRITES];
  if (query.get('watch') === 'true') return 'watch';
  return name === '' ? 'list' : 'get';
}

export const isWrite = ({ verb }: ApiCall): boolean => !['get', 'list', 'watch'].includes(verb);
