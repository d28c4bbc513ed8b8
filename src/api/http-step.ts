import * as z from 'zod';
import { checks, duration, expression, secretKey } from './common.ts';

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

const headerName = z.string().min(1).max(128);
const headerNames = checks({
  rule: "self.all(k, k.matches('^[A-Za-z0-9_.-]+$'))",
  message: "is no name of a header: use letters, digits, '-', '_' and '.'",
  culprit: "self.filter(k, !k.matches('^[A-Za-z0-9_.-]+$'))[0]",
});

const secretHeader = z
  .strictObject({
    ...secretKey.shape,
    prefix: z
      .string()
      .max(64)
      .regex(/^[ -~]*$/)
      .optional()
      .meta({
        description: 'What is put before the value of the Secret, for example "Bearer ". Default: nothing.',
      }),
  })
  .meta({ description: 'A header whose value is one key of a Secret in the namespace of the run.' });

const caFrom = z
  .strictObject({
    secret: secretKey.optional(),
    configMap: z
      .strictObject(secretKey.shape)
      .optional()
      .meta({ description: 'One key of a ConfigMap in the namespace of the run.' }),
  })
  .meta({
    description:
      'Certificates of the CAs to trust instead of the public ones, in PEM. A Secret must carry the label signalbox.dev/use: "true".',
    ...checks({
      rule: 'has(self.secret) != has(self.configMap)',
      message: 'exactly one of secret and configMap must be set: it holds the certificates',
    }),
  });

const expectedStatus = z.union([z.int().min(200).max(599), z.string().max(7)]).meta({
  description: 'A status such as 200, all of a class such as 2xx, or a range such as 200-204.',
  ...checks({
    rule: "type(self) == int ? self >= 200 && self <= 599 : self.matches('^[2-5]([0-9][0-9](-[2-5][0-9][0-9])?|xx)$')",
    message: 'must be a status such as 200, a class such as 2xx or a range such as 200-204, from 200 to 599',
    culprit: 'string(self)',
  }),
});

/** Calls somebody over HTTP. */
export const httpStep = z
  .strictObject({
    url: z
      .string()
      .max(4096)
      .regex(/^(https?:\/\/|\$\{\{)/)
      .meta({
        description:
          'Where the request goes: an address that starts with https:// or http://. ${{ expression }} in it is replaced.',
      }),
    method: z.enum(METHODS).optional().meta({ description: 'Method of the request. Default GET.' }),
    headers: z
      .record(headerName, z.string().max(4096).meta({ description: 'Value of the header.' }))
      .optional()
      .meta({
        description: 'Headers of the request, by name. ${{ expression }} in a value is replaced.',
        maxProperties: 32,
        ...headerNames,
      }),
    secretHeaders: z
      .record(headerName, secretHeader)
      .optional()
      .meta({
        description:
          'Headers whose values are read from Secrets that carry the label signalbox.dev/use: "true". The values are shown nowhere, and are not sent on when a redirect leads to another origin.',
        maxProperties: 8,
        ...headerNames,
      }),
    body: z
      .string()
      .max(65_536)
      .optional()
      .meta({ description: 'Body of the request, as text. ${{ expression }} in it is replaced.' }),
    json: z.unknown().optional().meta({
      description:
        'Body of the request, as JSON: any value, written as YAML. ${{ expression }} in its strings is replaced; a string that is one expression and nothing else takes the type of its value.',
    }),
    form: z
      .record(z.string().min(1).max(128), z.string().max(65_536).meta({ description: 'Value of the field.' }))
      .optional()
      .meta({
        description:
          'Body of the request, as the fields of a form, by name. ${{ expression }} in a value is replaced.',
        maxProperties: 64,
      }),
    expectedStatus: z
      .array(expectedStatus)
      .min(1)
      .max(16)
      .optional()
      .meta({ description: 'With which statuses the step succeeds. Default 2xx.' }),
    expect: expression(
      'Must be true of the response for the step to succeed, for example response.json.status == "ok". It sees response.status, response.headers (by name in lower case), response.body, response.json (if the body is JSON), and what every expression sees.',
    ).optional(),
    outputs: z
      .record(z.string().min(1).max(63), expression('The value of one output, for example response.json.id.'))
      .optional()
      .meta({
        description: 'Outputs of the step, by name, from the response. At most 4 KiB together.',
        maxProperties: 32,
        ...checks({
          rule: "self.all(k, k.matches('^[A-Za-z_][A-Za-z0-9_]*$'))",
          message: "is no name of an output: use letters, digits and '_', and do not start with a digit",
          culprit: "self.filter(k, !k.matches('^[A-Za-z_][A-Za-z0-9_]*$'))[0]",
        }),
      }),
    connectTimeout: duration(
      'How long the connection may take. The timeout of the step limits the whole. Default 10s.',
    ).optional(),
    maxRedirects: z.int().min(0).max(10).optional().meta({
      description:
        'How many redirects are followed, at most. 0: none, and the redirect is the response. Default 5.',
    }),
    caFrom: caFrom.optional(),
    onInterrupt: z.enum(['Retry', 'Fail']).optional().meta({
      description:
        'What happens when the operator was stopped during the request, so that nobody knows whether it arrived. Retry: it is made again, with the same Idempotency-Key. Fail: the step fails. Default: Fail for POST and PATCH, Retry for the others.',
    }),
  })
  .meta({
    description:
      'Makes an HTTP request from the operator. It succeeds when the status is an expected one and expect is true.',
    ...checks(
      {
        rule: '[has(self.body), has(dyn(self).json), has(self.form)].filter(x, x).size() <= 1',
        message: 'at most one of body, json and form can be set: it is the body of the request',
      },
      {
        rule: "!(has(self.body) || has(dyn(self).json) || has(self.form)) || (has(self.method) && !(self.method in ['GET', 'HEAD', 'OPTIONS']))",
        message:
          'a request with a body, json or form needs a method that sends it: set method, for example to POST',
      },
    ),
  });
export type HttpStep = z.infer<typeof httpStep>;
