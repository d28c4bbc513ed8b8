import type { ObjectMeta } from 'kubernetes-types/meta/v1.d.ts';
import type * as z from 'zod';
import { API_VERSION, GROUP, VERSION } from './common.ts';
import { type ProjectSpec, type ProjectStatus, projectSpec, projectStatus } from './project.ts';
import { type WorkflowSpec, type WorkflowStatus, workflowSpec, workflowStatus } from './workflow.ts';
import {
  type WorkflowRunSpec,
  type WorkflowRunStatus,
  workflowRunSpec,
  workflowRunStatus,
} from './workflow-run.ts';

/** A pipeline that people write. */
export interface Workflow {
  apiVersion: typeof API_VERSION;
  kind: 'Workflow';
  metadata: ObjectMeta;
  spec: WorkflowSpec;
  status?: WorkflowStatus;
}

/** One execution of a Workflow. */
export interface WorkflowRun {
  apiVersion: typeof API_VERSION;
  kind: 'WorkflowRun';
  metadata: ObjectMeta;
  spec: WorkflowRunSpec;
  status?: WorkflowRunStatus;
}

/** Where code for Terraform or Ansible lives and how it is run. */
export interface Project {
  apiVersion: typeof API_VERSION;
  kind: 'Project';
  metadata: ObjectMeta;
  spec: ProjectSpec;
  status?: ProjectStatus;
}

/** A printer column of kubectl get. */
export interface Column {
  name: string;
  type: 'string' | 'integer' | 'date';
  jsonPath: string;
  description: string;
  /** Shown with -o wide only. */
  wide?: true;
}

/** A custom resource: everything that its CRD is generated from. */
export interface CustomResource {
  kind: string;
  plural: string;
  shortName: string;
  description: string;
  /** A YAML document that uses what people need first, for the reference. */
  example: string;
  spec: z.ZodType;
  status: z.ZodType;
  columns: Column[];
}

const workflowExample = `apiVersion: signalbox.dev/v1alpha1
kind: Workflow
metadata:
  name: check-disk
spec:
  params:
    - name: directory
      default: /tmp
  steps:
    - name: measure
      script:
        env:
          DIRECTORY: \${{ params.directory }}
        bash: |
          used=$(df --output=pcent "$DIRECTORY" | tail -n 1 | tr -dc 0-9)
          echo "used=$used" >> "$SIGNALBOX_OUTPUT"
      timeout: 1m
      retry:
        limit: 2
    - name: warn
      when: int(steps.measure.outputs.used) > 80
      script:
        env:
          USED: \${{ steps.measure.outputs.used }}
        python: |
          import os
          print(f"{os.environ['USED']} % of the disk is used")
  finally:
    - name: farewell
      script:
        bash: echo checked
`;

const workflowRunExample = `apiVersion: signalbox.dev/v1alpha1
kind: WorkflowRun
metadata:
  generateName: check-disk-
spec:
  workflowRef:
    name: check-disk
  params:
    directory: /home
`;

const projectExample = `apiVersion: signalbox.dev/v1alpha1
kind: Project
metadata:
  name: api-infrastructure
spec:
  git:
    url: https://github.com/example/api-infrastructure
    ref: main
    path: terraform
    credentials:
      name: git-credentials
  terraform:
    engine: opentofu
    state: managed
`;

export const resources: CustomResource[] = [
  {
    kind: 'Workflow',
    plural: 'workflows',
    shortName: 'wfl',
    description:
      'A Workflow is a pipeline of steps. To execute it, create a WorkflowRun that names it: it runs on the workflow as it is then, whatever is edited later.',
    example: workflowExample,
    spec: workflowSpec,
    status: workflowStatus,
    columns: [
      {
        name: 'Status',
        type: 'string',
        jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
        description: 'Active, Paused or Draft, or why the workflow can not run.',
      },
      {
        name: 'Triggers',
        type: 'string',
        jsonPath: '.status.triggers',
        description: 'What starts the workflow.',
      },
      {
        name: 'Last Run',
        type: 'date',
        jsonPath: '.status.lastRun.startedAt',
        description: 'When the last run started.',
      },
      {
        name: 'Result',
        type: 'string',
        jsonPath: '.status.lastResult',
        description: 'How the last finished run ended.',
      },
      {
        name: 'Next Run',
        // As a date kubectl would show how long ago it was, and say <invalid>.
        type: 'string',
        jsonPath: '.status.nextRun',
        description: 'When the next scheduled run starts.',
      },
      {
        name: 'Age',
        type: 'date',
        jsonPath: '.metadata.creationTimestamp',
        description: 'Time since creation.',
      },
    ],
  },
  {
    kind: 'WorkflowRun',
    plural: 'workflowruns',
    shortName: 'wfr',
    description:
      'A WorkflowRun is one execution of a Workflow. Its spec says what to run and with which values; its status is the record of what came of it.',
    example: workflowRunExample,
    spec: workflowRunSpec,
    status: workflowRunStatus,
    columns: [
      { name: 'Workflow', type: 'string', jsonPath: '.spec.workflowRef.name', description: 'The workflow.' },
      { name: 'Status', type: 'string', jsonPath: '.status.phase', description: 'Where the run stands.' },
      {
        name: 'Progress',
        type: 'string',
        jsonPath: '.status.progress',
        description: 'Steps that have ended, of all.',
      },
      {
        name: 'Step',
        type: 'string',
        jsonPath: '.status.currentStep',
        description: 'The steps that are running.',
      },
      {
        name: 'Triggered By',
        type: 'string',
        jsonPath: '.spec.trigger.type',
        description: 'What started the run.',
      },
      {
        name: 'Duration',
        type: 'string',
        jsonPath: '.status.duration',
        description: 'How long the run took.',
      },
      {
        name: 'Age',
        type: 'date',
        jsonPath: '.metadata.creationTimestamp',
        description: 'Time since creation.',
      },
      {
        name: 'Reason',
        type: 'string',
        jsonPath: '.status.reason',
        description: 'Why the run stands where it stands.',
        wide: true,
      },
      {
        name: 'Started By',
        type: 'string',
        jsonPath: '.status.startedBy',
        description: 'Who started the run.',
        wide: true,
      },
    ],
  },
  {
    kind: 'Project',
    plural: 'projects',
    shortName: 'prj',
    description:
      'A Project says where code for Terraform or Ansible lives and how it is run. Steps of workflows name it. Deleting it destroys nothing: neither what was made with it nor its state.',
    example: projectExample,
    spec: projectSpec,
    status: projectStatus,
    columns: [
      { name: 'Repository', type: 'string', jsonPath: '.spec.git.url', description: 'Where the code lives.' },
      { name: 'Ref', type: 'string', jsonPath: '.spec.git.ref', description: 'Branch, tag or commit.' },
      {
        name: 'Status',
        type: 'string',
        jsonPath: '.status.conditions[?(@.type=="Ready")].reason',
        description: 'Reachable, or why not.',
      },
      {
        name: 'Commit',
        type: 'string',
        jsonPath: '.status.commit',
        description: 'The commit that the ref stood for last.',
      },
      {
        name: 'Lock',
        type: 'string',
        jsonPath: '.status.conditions[?(@.type=="StateLocked")].reason',
        description: 'Whether somebody holds the lock of a state.',
      },
      {
        name: 'Age',
        type: 'date',
        jsonPath: '.metadata.creationTimestamp',
        description: 'Time since creation.',
      },
    ],
  },
];

export { API_VERSION, GROUP, VERSION };
