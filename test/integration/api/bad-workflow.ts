/** A mistake that people make in a workflow, and what they are told. */
export interface BadWorkflow {
  title: string;
  /** The whole manifest. */
  yaml: string;
  /** Who refuses it at `kubectl apply`: the API server by the schema, or the operator by its webhook. */
  refusedBy: 'schema' | 'admission';
  /** A part of what they are told. */
  message: string;
}

export const workflow = (spec: string, name = 'bad') =>
  `{apiVersion: signalbox.dev/v1alpha1, kind: Workflow, metadata: {name: ${name}}, spec: ${spec}}`;
export const bySchema = (title: string, message: string, spec: string): BadWorkflow => ({
  title,
  yaml: workflow(spec),
  refusedBy: 'schema',
  message,
});
export const byAdmission = (title: string, message: string, spec: string): BadWorkflow => ({
  ...bySchema(title, message, spec),
  refusedBy: 'admission',
});

export const build = '{name: build, script: {bash: make}}';
/** A spec whose one step has these fields beside its name. */
export const step = (fields: string) => `{steps: [{name: build, ${fields}}]}`;
/** A spec whose one step is good and has these fields beside. */
export const scriptStep = (fields: string) => step(`script: {bash: make}, ${fields}`);
export const script = (fields: string) => step(`script: {${fields}}`);
export const pod = (fields: string) => `{steps: [${build}], podDefaults: {${fields}}}`;
export const param = (fields: string) => `{steps: [${build}], params: [{${fields}}]}`;
export const steps = (count: number) =>
  Array.from({ length: count }, (_, i) => `{name: s${i}, script: {bash: make}}`).join(', ');
export const names = (count: number) => Array.from({ length: count }, (_, i) => `s${i}`).join(', ');
