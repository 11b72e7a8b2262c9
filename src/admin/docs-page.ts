// admin/docs-page.ts: a document as one HTML page for people: operations, fields, errors, examples.
//
// Promises: everything on the page comes from the contract; whatever it marks `x-assumed` carries a badge with the
// reason; the page is whole in itself and works offline.
// Must not know: how it is served.

import { STATUS_CODES } from 'node:http';
import type { Assumable, MediaType, Named, OpenApiDocument, Schema } from '../contract/document.ts';
import { bodiesOf, type Contract, type Operation, type StatusContract } from '../contract/contract.ts';
import { curlOf } from './docs-curl.ts';
import { fieldRows, partsOf, typeText, type FieldRow } from './docs-fields.ts';
import { html, inline, page, prose, table, type Content, type Html } from './docs-markup.ts';

/** Something that is served beside the page. */
export interface PageLink {
  readonly href: string;
  readonly text: string;
}

export function renderDocs(contract: Contract, links: readonly PageLink[] = []): string {
  const { info, tags } = contract.document;
  const sections = tags.map((section) => ({
    ...section,
    operations: contract.operations.filter((operation) => operation.tags.includes(section.name)),
  }));
  return page({
    title: info.title,
    navigation: html`<strong>Overview</strong>
      <ul>
        <li><a href="#top">${info.title}</a></li>
        <li><a href="#access">Addresses and keys</a></li>
        <li><a href="#errors">Errors</a></li>
        ${links.map(({ href, text }) => html`<li><a href="${href}">${text}</a></li>`)}
      </ul>
      ${sections.map(
        ({ name, operations }) =>
          html`<strong>${name}</strong>
            <ul>
              ${operations.map(
                ({ operationId, method, summary }) =>
                  html`<li>
                    <a href="#${operationId}">${verb(method)} ${summary}</a>
                  </li>`,
              )}
            </ul>`,
      )}`,
    main: html`<header>
        <h1>${info.title} ${tag(`version ${info.version}`)}</h1>
        <p class="lead">${info.summary}</p>
        ${prose(info.description ?? '')}
      </header>
      ${access(contract)} ${errors(contract)}
      ${sections.map(
        ({ name, description, operations }) =>
          html`<h2>${name}</h2>
            ${prose(description ?? '')}
            ${operations.map((operation) => operationSection(contract, operation))}`,
      )}`,
  });
}

/** The badge, and below it the reason: a tooltip alone would not be there for a keyboard, a finger or a printer. */
function assumed(node: Assumable): Content {
  return [badge(node), reason(node)];
}

function badge(node: Assumable): Content {
  if (node['x-assumed'] !== true) return undefined;
  return html` <span class="tag assumed" title="${node['x-assumed-reason']}">assumed</span>`;
}

function reason(node: Assumable): Content {
  const text = node['x-assumed-reason'];
  return text === undefined ? undefined : html`<span class="note">${inline(text)}</span>`;
}

function tag(text: string): Html {
  return html` <span class="tag">${text}</span>`;
}

function verb(method: string): Html {
  return html`<span class="verb ${method.toLowerCase()}">${method}</span>`;
}

function code(text: string): Html {
  return html`<code>${text}</code>`;
}

function access({ document: { servers, components } }: Contract): Html {
  return html`<section id="access" aria-labelledby="access-head">
    <h2 id="access-head">Addresses and keys</h2>
    <p>Every path is served under each of these prefixes:</p>
    ${table({
      heads: ['Prefix', 'Meaning'],
      rows: servers.map((server) => [code(server.url), [inline(server.description ?? ''), assumed(server)]]),
    })}
    <p>A key is sent in one of these ways:</p>
    ${table({
      heads: ['Way', 'Meaning'],
      rows: Object.values(components.securitySchemes).map((scheme) => [
        code(scheme.name ?? 'Authorization'),
        [inline(scheme.description ?? ''), assumed(scheme)],
      ]),
    })}
  </section>`;
}

interface StorageKey {
  readonly status: number;
  readonly operationId: string;
}

/** Where each code can be met, by code. */
function placesOfCodes(operations: readonly Operation[]): ReadonlyMap<string, readonly StorageKey[]> {
  const places = new Map<string, StorageKey[]>();
  for (const { operationId, statuses } of operations) {
    for (const [status, { codes }] of statuses) {
      for (const name of codes) places.set(name, [...(places.get(name) ?? []), { status, operationId }]);
    }
  }
  return places;
}

function errors({ document, operations }: Contract): Html {
  const { Error: envelope = {}, ErrorCode: errorCode = {} } = document.components.schemas;
  const places = placesOfCodes(operations);
  return html`<section id="errors" aria-labelledby="errors-head">
    <h2 id="errors-head">Errors</h2>
    <p>${inline(envelope.description ?? '')}${assumed(envelope)}</p>
    ${fieldTable(envelope)}
    <h3>Codes</h3>
    <p>${inline(errorCode.description ?? '')}${assumed(errorCode)}</p>
    ${table({
      heads: ['Code', 'Meaning', 'Where'],
      rows: codeNames(errorCode).map((name) => [...codeCells(name, errorCode), placeLinks(places.get(name))]),
    })}
  </section>`;
}

function placeLinks(places: readonly StorageKey[] | undefined): Content {
  if (places === undefined) return 'on any path';
  const status = places[0]?.status;
  return [
    html`<b>${status}</b> `,
    places.map(
      ({ operationId }, index) => html`${index > 0 ? ', ' : ''}<a href="#${operationId}">${operationId}</a>`,
    ),
  ];
}

function codeNames(errorCode: Schema): readonly string[] {
  return (errorCode.enum ?? []).map(String);
}

function codeCells(name: string, errorCode: Schema): readonly Content[] {
  const isRetryable = errorCode['x-retryable']?.includes(name) === true;
  return [
    [code(name), isRetryable ? tag('retryable') : undefined],
    inline(errorCode['x-enumDescriptions']?.[name] ?? ''),
  ];
}

function bodySchema(schema: Schema): Html {
  return html`<p>${inline(schema.description ?? '')}${partsOf(schema).map(assumed)}</p>
    ${fieldTable(schema)}`;
}

/** The deprecated fields stand apart: they are many, and nobody starting today needs them. */
function fieldTable(schema: Schema): Html {
  const rows = fieldRows(schema);
  const older = rows.filter((row) => row.schema.deprecated === true);
  const current = rows.filter((row) => !older.includes(row));
  const heads = ['Field', 'Type', 'Meaning'];
  if (older.length === 0) return table({ heads, rows: current.map(fieldCells) });
  return html`${table({ heads, rows: current.map(fieldCells) })}
    <details class="box">
      <summary>Older names of these fields ${tag('deprecated')}</summary>
      <div>${table({ heads, rows: older.map(fieldCells) })}</div>
    </details>`;
}

function fieldCells({ name, type, isRequired, schema }: FieldRow): readonly Content[] {
  return [
    [code(name), isRequired ? tag('required') : undefined],
    code(type),
    [inline(schema.description ?? ''), assumed(schema)],
  ];
}

function operationSection({ document }: Contract, operation: Operation): Html {
  const { operationId, method, path, summary, description, isKeyOptional, parameters = [] } = operation;
  const rules = operation['x-rules'] ?? [];
  const content = Object.entries(bodiesOf(operation));
  return html`<section id="${operationId}" aria-labelledby="${operationId}-head">
    <h3 id="${operationId}-head">${summary} ${tag(operationId)}</h3>
    <p class="route">
      ${verb(method)} ${code(path)}
      <span class="key">${isKeyOptional ? keyless(document) : 'needs a key'}</span>
    </p>
    ${prose(description ?? '')}
    <pre><code>${curlOf(operation, document)}</code></pre>
    ${parameters.length > 0 ? html`<h4>Parameters</h4>` : undefined}
    ${table({
      heads: ['Parameter', 'Type', 'Meaning'],
      rows: parameters.map((parameter) => [
        [code(parameter.name), tag(parameter.in), parameter.required === true ? tag('required') : undefined],
        code(typeText(parameter.schema)),
        [inline(parameter.description ?? ''), assumed(parameter), assumed(parameter.schema)],
      ]),
    })}
    ${content.length > 0 ? html`<h4>Request body</h4>` : undefined}
    ${content.map(([name, mediaType], index) => requestBody(name, mediaType, index === 0))}
    <h4>Answers</h4>
    ${[...operation.statuses].map(([status, answer]) => answerBox(status, answer, document.components.schemas))}
    ${rules.length > 0 ? ruleList(rules) : undefined}
  </section>`;
}

function keyless({ info }: OpenApiDocument): string {
  return info['x-keyless'] ?? 'no key needed while none is configured';
}

function ruleList(rules: NonNullable<Operation['x-rules']>): Html {
  const items = rules.map(
    (rule) => html`<li><b>${rule.id}</b><span>${inline(rule.text)}${assumed(rule)}</span></li>`,
  );
  return html`<h4>Rules</h4>
    <ul class="rules">
      ${items}
    </ul>`;
}

function requestBody(name: string, mediaType: MediaType, isFirst: boolean): Html {
  return html`<details class="box" ${isFirst ? 'open' : ''}>
    <summary>${code(name)}${badge(mediaType)}</summary>
    <div>${reason(mediaType)} ${bodySchema(mediaType.schema)} ${examples(mediaType)}</div>
  </details>`;
}

function answerBox(status: number, { codes, response }: StatusContract, schemas: Named<Schema>): Html {
  const { ErrorCode: errorCode = {}, Error: envelope } = schemas;
  const isError = status >= 400;
  const { headers = {}, content } = response;
  const bodies = ({ schema }: MediaType): readonly Schema[] =>
    (schema.oneOf ?? [schema]).filter((one) => one !== envelope);
  return html`<details class="box" ${isError ? '' : 'open'}>
    <summary>
      <span class="status ${isError ? 'bad' : ''}">${status} ${STATUS_CODES[status]}</span>
      ${codes.map((name) => [code(name), ' '])}${badge(response)}
    </summary>
    <div>
      <p>${inline(response.description ?? '')}${reason(response)}</p>
      ${table({ heads: ['Code', 'Meaning'], rows: codes.map((name) => codeCells(name, errorCode)) })}
      ${table({
        heads: ['Header', 'Value', 'Meaning'],
        rows: Object.entries(headers).map(([name, header]) => [
          code(name),
          code(typeText(header.schema)),
          [inline(header.description ?? ''), assumed(header)],
        ]),
      })}
      ${Object.values(content).map((mediaType) => [bodies(mediaType).map(bodySchema), examples(mediaType)])}
    </div>
  </details>`;
}

function examples({ examples: named = {} }: MediaType): Content {
  return Object.values(named).map(
    (example) =>
      html`<figure>
        <figcaption>${example.summary}${assumed(example)}</figcaption>
        <pre><code>${JSON.stringify(example.value, null, 2)}</code></pre>
      </figure>`,
  );
}
